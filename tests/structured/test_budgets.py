"""Budgets: what is left is passed on, less than that can be taken, and something can be kept back.  In virtual time."""

from __future__ import annotations

import asyncio
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hocket
from hocket.structured import budgets
from tests.virtual import run


def now() -> float:
    return asyncio.get_running_loop().time()


async def hang() -> None:
    await asyncio.sleep(3600)


def test_a_block_that_takes_too_long_is_ended() -> None:
    """By BudgetExceeded, a TimeoutError, which names it and how long it was."""

    async def main() -> tuple[float, str, bool]:
        began = now()
        with pytest.raises(TimeoutError) as caught, hocket.budget(0.5, name="GET /") as spent:
            await hang()
        assert type(caught.value) is hocket.BudgetExceeded
        assert caught.value.budget is spent
        return now() - began, str(caught.value), spent.cancelled_caught

    assert run(main()) == (pytest.approx(0.5), "the budget of GET /, 0.5 s, is used up", True)


def test_a_block_that_is_over_in_time_is_not_touched() -> None:
    """And knows how much it has used."""

    async def main() -> tuple[float, float, float]:
        with hocket.budget(0.5) as budget:
            await asyncio.sleep(0.2)
            return budget.spent(), budget.remaining(), hocket.remaining()

    assert run(main()) == (pytest.approx(0.2), pytest.approx(0.3), pytest.approx(0.3))


def test_a_budget_inside_ends_no_later_than_the_one_around() -> None:
    """A longer one has what is left; and the one around is what raises, because there is nothing left there either."""

    async def main() -> tuple[float, float]:
        with pytest.raises(hocket.BudgetExceeded) as caught, hocket.budget(0.5) as outer:
            await asyncio.sleep(0.2)
            with hocket.budget(10) as inner:
                left = inner.remaining()
                await hang()
        assert caught.value.budget is outer
        return left, outer.spent()

    assert run(main()) == (pytest.approx(0.3), pytest.approx(0.5))


def test_what_is_kept_back_is_there_for_something_else() -> None:
    """Budgets inside end so much earlier, and raise themselves."""

    async def main() -> list[float]:
        log = []
        with hocket.budget(0.5, reserve=0.1) as outer:
            with pytest.raises(hocket.BudgetExceeded, match="less was left") as caught, hocket.budget(10) as inner:
                log.append(inner.remaining())
                await hang()
            assert caught.value.budget is inner
            log += [outer.spent(), outer.remaining()]
        return log

    assert run(main()) == [pytest.approx(0.4), pytest.approx(0.4), pytest.approx(0.1)]


def test_deadlines_of_scopes_count() -> None:
    """Both ways: in a scope, and for a scope inside."""

    async def main() -> list[float]:
        with hocket.fail_after(2):
            with hocket.budget(5) as budget:
                log = [budget.remaining()]
                with hocket.move_on_after(1):
                    log.append(hocket.remaining())
                with hocket.move_on_after(9):
                    log.append(hocket.remaining())
        log.append(hocket.remaining())
        return log

    assert run(main()) == [pytest.approx(2), pytest.approx(1), pytest.approx(2), math.inf]


def test_tasks_that_are_started_inside_have_it() -> None:
    """Also by a bare create_task, which nobody cancels: what it calls within budgets of its own is."""

    async def child(log: list[float]) -> None:
        log.append(hocket.remaining())
        with pytest.raises(hocket.BudgetExceeded), hocket.budget(10):
            await hang()
        log.append(hocket.remaining())

    async def main() -> list[float]:
        log: list[float] = []
        with hocket.budget(0.5):
            task = asyncio.create_task(child(log))
        await task
        return log

    assert run(main()) == [pytest.approx(0.5), 0.0]


def test_what_outlives_the_request_does_not_inherit() -> None:
    """With inherit=False it has a budget of its own, in a task of its own and in the same."""

    async def refresh() -> float:
        with hocket.budget(10, inherit=False):
            await asyncio.sleep(5)
            return hocket.remaining()

    async def main() -> tuple[float, float]:
        with pytest.raises(hocket.BudgetExceeded), hocket.budget(0.5):
            task = asyncio.create_task(refresh())
            await hang()
        with pytest.raises(hocket.BudgetExceeded), hocket.budget(0.5):
            here = await refresh()
            await asyncio.sleep(0)
        return await task, here

    assert run(main()) == (pytest.approx(5), pytest.approx(5))


def test_a_cancellation_from_outside_stays_one() -> None:
    """Nothing becomes a BudgetExceeded that the budget has not done."""

    async def work() -> None:
        with hocket.budget(0.5):
            await hang()

    async def main() -> list[object]:
        task = asyncio.create_task(work())
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        with hocket.move_on_after(0.1) as scope:
            await work()
        with hocket.budget(0.5) as budget:
            budget.cancel("enough")
            await hang()
        return [task.cancelled(), scope.cancelled_caught, budget.cancelled_caught]

    assert run(main()) == [True, True, True]


def test_current_budget_is_the_innermost() -> None:
    """And none outside."""

    async def main() -> list[str | None]:
        names = [hocket.current_budget()]
        with hocket.budget(2, name="outer") as outer:
            names.append(hocket.current_budget())
            with hocket.budget(1, name="inner"):
                names.append(hocket.current_budget())
            assert hocket.current_budget() is outer
        assert hocket.current_budget() is None
        return [None if one is None else one.name for one in names]

    assert run(main()) == [None, "outer", "inner"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"seconds": -1}, ValueError),
        ({"seconds": math.nan}, ValueError),
        ({"seconds": "1"}, TypeError),
        ({"seconds": True}, TypeError),
        ({"seconds": 1, "reserve": -1}, ValueError),
    ],
)
def test_seconds_that_are_none_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """Before the block, with what came."""
    with pytest.raises(error, match="expected seconds"):
        hocket.budget(**options)


def test_a_budget_is_for_one_block() -> None:
    """RuntimeError the second time, outside of tasks, and if it was not entered."""

    async def main() -> None:
        budget = hocket.budget(1)
        with budget:
            with pytest.raises(RuntimeError, match="for one block"), budget:
                pass
        with pytest.raises(RuntimeError, match="for one block"), budget:
            pass

    run(main())
    with pytest.raises(RuntimeError), hocket.budget(1):
        pass
    with pytest.raises(RuntimeError, match="not entered"):
        hocket.budget(1).__exit__(None, None, None)


def test_its_error_can_be_sent_to_another_process() -> None:
    """With its message."""
    error = pickle.loads(pickle.dumps(hocket.BudgetExceeded("used up", hocket.budget(1))))
    assert str(error) == "used up" and isinstance(error, TimeoutError)


# -- within


async def give(value: object, after: float) -> object:
    await asyncio.sleep(after)
    return value


@pytest.mark.parametrize("fallback", ["old", lambda: "old", lambda: give("old", 0.05)])
def test_within_falls_back(fallback: Any) -> None:
    """To a value, or to what a function gives that may be async; the result in time is the result."""

    async def main() -> list[object]:
        with hocket.budget(0.5, reserve=0.1):
            return [
                await hocket.within(0.2, give, "new", 0.1, fallback=fallback),
                await hocket.within(0.2, give, "new", 9.0, fallback=fallback),
                await hocket.within(9.0, give, "new", 9.0, fallback=fallback),
            ]

    assert run(main()) == ["new", "old", "old"]


def test_within_without_a_fallback_raises() -> None:
    """With the name of the function."""

    async def main() -> None:
        with pytest.raises(hocket.BudgetExceeded, match=r"the budget of give, 0\.1 s"):
            await hocket.within(0.1, give, "new", 9.0)

    run(main())


def test_within_does_not_begin_what_comes_too_late() -> None:
    """The function is not called if nothing is left for it."""
    called = []

    async def work() -> None:
        called.append(1)

    async def main() -> str:
        with hocket.budget(0.5, reserve=0.1):
            await asyncio.sleep(0.45)
            return await hocket.within(9.0, work, fallback="too late")

    assert (run(main()), called) == ("too late", [])


def test_no_fallback_when_the_request_is_over() -> None:
    """There is nobody to whom to give it."""
    called: list[int] = []

    async def main() -> float:
        began = now()
        with pytest.raises(hocket.BudgetExceeded), hocket.budget(0.5, name="request"):
            await hocket.within(9.0, hang, fallback=lambda: called.append(1))
        return now() - began

    assert (run(main()), called) == (pytest.approx(0.5), [])


def test_a_timeout_of_something_else_is_no_fallback() -> None:
    """Only the budget's own end is."""

    async def fail() -> None:
        raise TimeoutError("of the database")

    async def main() -> None:
        with pytest.raises(TimeoutError, match="of the database"):
            await hocket.within(1, fail, fallback="old")

    run(main())


@given(
    st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 0.5), st.floats(0, 1), st.booleans()), min_size=1, max_size=6)
)
def test_nobody_gets_more_than_there_is(levels: list[tuple[float, float, float, bool]]) -> None:
    """However budgets and scopes are nested, and whatever is kept back: what is given is the least of all."""

    async def descend(depth: int, most: float) -> None:
        if depth == len(levels):
            assert budgets.given() == pytest.approx(max(most, -1e9) - now(), abs=1e-6)
            return
        seconds, reserve, pause, is_budget = levels[depth]
        if is_budget:
            block = hocket.budget(seconds, reserve=reserve)
            expected = min(most, now() + seconds)
            with block:
                assert block.deadline == pytest.approx(expected, abs=1e-6)
                await asyncio.sleep(pause)
                await descend(depth + 1, expected - reserve)
        else:
            expected = min(most, now() + seconds)
            with hocket.fail_after(seconds):
                await asyncio.sleep(pause)
                await descend(depth + 1, expected)

    async def main() -> None:
        try:
            await descend(0, math.inf)
        except TimeoutError:
            pass

    run(main())
