"""`hocket.merge` and `hocket.race`."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket
from tests.structured.test_amap import asynchronous, broken, nothing_left
from tests.structured.test_channels import outcome, start, turns
from tests.unit.loops import EVERY
from tests.unit.loops import run as run_on
from tests.virtual import run


async def ticks(name: str, period: float, count: int, log: list[str] | None = None) -> AsyncIterator[str]:
    try:
        for number in range(count):
            await asyncio.sleep(period)
            yield f"{name}{number}"
    finally:
        if log is not None:
            log.append(f"{name} closed")


# -- merge


def test_items_come_as_they_come() -> None:
    """Of whichever source, each source's in its order; sources of either kind."""

    async def main() -> list[str]:
        return [item async for item in hocket.merge(ticks("a", 3, 3), ticks("b", 4, 2), ["c0"])]

    assert run(main()) == ["c0", "a0", "b0", "a1", "b1", "a2"]


@pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
def test_it_merges_on_every_loop(factory: Any) -> None:
    """All items, and nothing left."""

    async def main() -> list[int]:
        before = asyncio.all_tasks()
        got = [item async for item in hocket.merge(asynchronous(range(10)), range(10, 20))]
        assert asyncio.all_tasks() == before
        return sorted(got)

    assert run_on(factory, main()) == list(range(20))


def test_no_source_runs_ahead() -> None:
    """By more than one item each, and the capacity between all of them."""

    async def main() -> None:
        pulled = 0

        async def source() -> AsyncIterator[int]:
            nonlocal pulled
            while True:
                pulled += 1
                yield pulled

        async with hocket.merge(source(), source(), capacity=3) as items:
            await anext(items)
            await asyncio.sleep(10)
            assert pulled <= 1 + 2 + 3 + 1
        assert nothing_left()

    run(main())


def test_statistics_are_those_of_what_is_between() -> None:
    """How many came, and who waits."""

    async def main() -> None:
        async with hocket.merge(ticks("a", 1, 3), ticks("b", 1, 3), capacity=2) as items:
            assert await anext(items) == "a0"
            await asyncio.sleep(10)
            facts = items.statistics()
            assert (facts.capacity, facts.items, facts.received, len(facts.sending.waiters)) == (2, 2, 1, 2)

    run(main())


def test_what_cannot_be_merged_is_refused() -> None:
    """Nothing at all, something else, and a capacity that is none."""
    with pytest.raises(ValueError, match="one iterable at least"):
        hocket.merge()
    with pytest.raises(TypeError, match=r"merge\(\) expected an iterable, or an asynchronous one, got 3"):
        hocket.merge([1], 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got -1"):
        hocket.merge([1], capacity=-1)


def test_the_first_source_that_fails_ends_the_others() -> None:
    """What was handed over comes before the group."""

    async def main() -> list[Any]:
        log: list[str] = []
        got: list[Any] = []
        with pytest.raises(ExceptionGroup, match="unhandled errors in merge") as caught:
            async for item in hocket.merge(asynchronous(broken()), ticks("a", 1, 10, log)):
                got.append(item)
        assert [type(error) for error in caught.value.exceptions] == [LookupError]
        assert nothing_left() and log == ["a closed"]
        return got

    assert run(main()) == [1]


def test_a_merge_that_is_left_early_ends_its_sources() -> None:
    """In a block before it goes on; without one soon; and if it is cancelled before the cancellation goes on."""

    async def main() -> None:
        log: list[str] = []
        async with hocket.merge(ticks("a", 1, 10, log), ticks("b", 1, 10, log)) as items:
            async for _ in items:
                break
        assert nothing_left() and sorted(log) == ["a closed", "b closed"]
        assert [item async for item in items] == []
        log.clear()
        async for _ in hocket.merge(ticks("a", 1, 10, log)):
            break
        gc.collect()
        await turns(6)
        assert nothing_left() and log == ["a closed"]
        log.clear()

        async def consume() -> None:
            async for _ in hocket.merge(ticks("a", 1, 10, log)):
                pass

        task = start(consume())
        await asyncio.sleep(2.5)
        task.cancel()
        assert await outcome(task) is asyncio.CancelledError
        assert nothing_left() and log == ["a closed"]

    run(main())


def test_a_merge_that_was_closed_before_it_began_is_empty() -> None:
    """And starts nothing."""

    async def main() -> list[Any]:
        items = hocket.merge([1, 2])
        await items.aclose()
        return [item async for item in items]

    assert run(main()) == []


def test_a_cancelled_merge_in_a_block_can_be_taken_up_again() -> None:
    """Nothing is lost by it."""

    async def main() -> list[str]:
        got = []
        async with hocket.merge(ticks("a", 1, 5), ticks("b", 1, 5)) as items:
            while True:
                try:
                    async with asyncio.timeout(1):
                        got.append(await anext(items))
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    return sorted(got)

    assert run(main()) == [f"{name}{number}" for name in "ab" for number in range(5)]


@settings(max_examples=150)
@given(st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=4), st.integers(0, 3), st.integers(0, 3))
def test_any_schedule_merges_all(plan: list[list[int]], capacity: int, pace: int) -> None:
    """However long each item takes and however slow the consumer is: every item once, each source's in order."""

    async def main() -> None:
        async def source(number: int, waits: list[int]) -> AsyncIterator[tuple[int, int]]:
            for index, count in enumerate(waits):
                await turns(count)
                yield number, index

        got = []
        async for item in hocket.merge(*(source(*pair) for pair in enumerate(plan)), capacity=capacity):
            got.append(item)
            await turns(pace)
        for number, waits in enumerate(plan):
            assert [index for who, index in got if who == number] == list(range(len(waits)))
        assert nothing_left()

    run(main())


# -- race


async def after(seconds: float, result: Any, log: list[Any] | None = None) -> Any:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if log is not None:
            log.append(f"{result} cancelled")
        raise
    if isinstance(result, BaseException):
        raise result
    return result


@pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
def test_the_first_to_finish_wins(factory: Any) -> None:
    """The others are cancelled, and have ended."""

    async def main() -> Any:
        before = asyncio.all_tasks()
        log: list[Any] = []
        won = await hocket.race(after(10, "slow", log), after(0.01, "fast", log), after(15, "slower", log))
        assert asyncio.all_tasks() == before
        assert sorted(log) == ["slow cancelled", "slower cancelled"]
        return won

    assert run_on(factory, main()) == "fast"


def test_the_first_to_fail_decides_too() -> None:
    """Its exception comes out as it is."""

    async def main() -> list[Any]:
        log: list[Any] = []
        with pytest.raises(KeyError):
            await hocket.race(after(2, "slow", log), after(1, KeyError("fast")))
        assert nothing_left()
        return log

    assert run(main()) == ["slow cancelled"]


def test_a_tolerant_race_goes_on_after_a_failure() -> None:
    """Until there is a result; if there is none, all exceptions come out."""

    async def main() -> Any:
        with pytest.raises(ExceptionGroup, match="all in the race have failed") as caught:
            await hocket.race(after(2, KeyError("a")), after(1, ValueError("b")), tolerant=True)
        assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]
        return await hocket.race(after(2, "slow"), after(1, KeyError("fast")), tolerant=True)

    assert run(main()) == "slow"


def test_a_cancelled_race_cancels_all_and_waits() -> None:
    """Also for who takes his time."""

    async def main() -> list[Any]:
        log: list[Any] = []

        async def slow_to_end() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(3)
                log.append("ended")

        task = start(hocket.race(slow_to_end(), after(100, "other", log)))
        await asyncio.sleep(1)
        task.cancel()
        assert await outcome(task) is asyncio.CancelledError
        assert nothing_left()
        return log

    assert run(main()) == ["other cancelled", "ended"]


def test_what_a_loser_raises_is_reported() -> None:
    """The winner's result stands."""

    async def loser() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            raise OSError("on the way out")

    async def main() -> tuple[Any, list[str]]:
        said: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(repr(context["exception"])))
        return await hocket.race(loser(), after(0, "won")), said

    assert hocket.run(main()) == ("won", ["OSError('on the way out')"])


def test_what_cannot_race_is_refused() -> None:
    """Nobody, and what cannot be awaited; the coroutines beside it are closed."""

    async def main() -> None:
        with pytest.raises(ValueError, match="one awaitable at least"):
            await hocket.race()
        with pytest.raises(TypeError, match=r"race\(\) expected awaitables, got 3"):
            await hocket.race(after(1, "never"), 3)  # type: ignore[arg-type]

    run(main())


def test_anything_awaitable_can_race() -> None:
    """Tasks, futures and hocket's operations; those that lose are cancelled."""

    async def main() -> Any:
        task = start(after(5, "task"))
        future = asyncio.get_running_loop().create_future()
        won = await hocket.race(task, future, hocket.sleep(1, "operation"))
        assert task.cancelled() and future.cancelled()
        return won

    assert run(main()) == "operation"
