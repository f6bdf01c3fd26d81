"""`hocket.CapacityLimiter`: who has a token, who gets the next, and that none is ever lost."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket
from hocket import WouldBlock
from tests.structured.test_channels import outcome, start, turns
from tests.unit.loops import EVERY
from tests.unit.loops import run as run_on
from tests.virtual import run


@pytest.mark.parametrize("total", [1.5, "1", None, True])
def test_what_is_no_number_of_tokens_is_refused(total: Any) -> None:
    """In the beginning and later."""
    with pytest.raises(TypeError, match=r"total_tokens as an int of 0 or more, or math\.inf, got"):
        hocket.CapacityLimiter(total)
    with pytest.raises(TypeError):
        hocket.CapacityLimiter(1).total_tokens = total


def test_a_negative_number_of_tokens_is_refused() -> None:
    """In the beginning and later."""
    with pytest.raises(ValueError, match="0 or more tokens, got -1"):
        hocket.CapacityLimiter(-1)
    limiter = hocket.CapacityLimiter(2)
    with pytest.raises(ValueError):
        limiter.total_tokens = -2
    assert limiter.total_tokens == 2


@pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
def test_no_more_than_its_tokens_are_borrowed_at_once(factory: Any) -> None:
    """On every loop; first come, first served."""

    async def main() -> None:
        limiter = hocket.CapacityLimiter(3)
        inside, most, order = 0, 0, []

        async def visit(number: int) -> None:
            nonlocal inside, most
            async with limiter:
                order.append(number)
                inside += 1
                most = max(most, inside)
                await turns(2)
                inside -= 1

        await asyncio.gather(*(visit(number) for number in range(10)))
        assert (most, order) == (3, list(range(10)))
        assert (limiter.borrowed_tokens, limiter.available_tokens) == (0, 3)

    run_on(factory, main())


def test_nobody_takes_two() -> None:
    """Neither now nor by waiting for the second."""

    async def main() -> None:
        limiter = hocket.CapacityLimiter(2)
        async with limiter:
            with pytest.raises(RuntimeError, match=r"has a token of .* already, and would wait for itself"):
                await limiter.acquire()
            with pytest.raises(RuntimeError, match="already"):
                limiter.acquire_nowait()
        with pytest.raises(RuntimeError, match=r"no token of .* to give back"):
            limiter.release()
        limiter.total_tokens = 0
        twice = [start(limiter.acquire_on_behalf_of("guest")) for _ in range(2)]
        await turns()
        limiter.total_tokens = 2
        assert [await outcome(task) for task in twice] == [None, RuntimeError]
        assert limiter.borrowed_tokens == 1

    run(main())


def test_anything_can_borrow() -> None:
    """On behalf of what the program names, from any task."""

    async def main() -> None:
        limiter = hocket.CapacityLimiter(1)
        await limiter.acquire_on_behalf_of("connection")
        with pytest.raises(WouldBlock, match="no token left"):
            limiter.acquire_on_behalf_of_nowait("another")
        with pytest.raises(WouldBlock):
            limiter.acquire_nowait()
        assert limiter.statistics().borrowers == ("connection",)
        await start(release(limiter))
        limiter.acquire_nowait()
        assert limiter.statistics().borrowers == (asyncio.current_task(),)

    async def release(limiter: Any) -> None:
        limiter.release_on_behalf_of("connection")
        with pytest.raises(RuntimeError):
            limiter.release_on_behalf_of("connection")

    run(main())


def test_tokens_come_and_go() -> None:
    """More let in those who wait; fewer let nobody in before there is one."""

    async def main() -> None:
        limiter = hocket.CapacityLimiter(0)
        waiting = [start(limiter.acquire_on_behalf_of(number)) for number in range(4)]
        await turns()
        assert limiter.statistics().tasks_waiting == 4 and limiter.available_tokens == 0
        limiter.total_tokens = 2
        await turns()
        assert [task.done() for task in waiting] == [True, True, False, False]
        limiter.total_tokens = 1
        assert limiter.available_tokens == 0
        limiter.release_on_behalf_of(0)
        await turns()
        assert not waiting[2].done()
        limiter.release_on_behalf_of(1)
        await turns()
        assert [task.done() for task in waiting] == [True, True, True, False]
        limiter.total_tokens = math.inf
        await waiting[3]
        assert limiter.available_tokens == math.inf
        facts = limiter.statistics()
        assert (facts.borrowers, facts.most, facts.waiting.waits, facts.waiting.most) == ((2, 3), 2, 4, 4)

    run(main())


def test_a_token_for_a_task_that_is_cancelled_in_that_turn_goes_to_the_next() -> None:
    """A cancelled acquire has borrowed nothing."""

    async def main() -> None:
        limiter = hocket.CapacityLimiter(1)
        await limiter.acquire_on_behalf_of("first")
        second, third = start(limiter.acquire_on_behalf_of("second")), start(limiter.acquire_on_behalf_of("third"))
        await turns()
        limiter.release_on_behalf_of("first")
        second.cancel()
        assert await outcome(second) is asyncio.CancelledError
        await third
        assert limiter.statistics().borrowers == ("third",)

    run(main())


def test_without_a_task_a_borrower_must_be_named() -> None:
    """In a callback there is none."""

    async def main() -> list[str]:
        limiter = hocket.CapacityLimiter(1)
        said = []

        def callback() -> None:
            try:
                limiter.acquire_nowait()
            except RuntimeError as error:
                said.append(str(error))

        asyncio.get_running_loop().call_soon(callback)
        await turns()
        return said

    (said,) = run(main())
    assert "no current task" in said


@settings(max_examples=200)
@given(
    st.integers(0, 3),
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.none() | st.integers(0, 9)),
        min_size=1,
        max_size=7,
    ),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=3),
)
def test_no_schedule_loses_a_token(
    total: int, plan: list[tuple[int, int, int | None]], changes: list[tuple[int, int]]
) -> None:
    """Whoever is cancelled when, and however the total changes: never more than there are get in, those who wait get in
    in the order of arrival, and in the end all are back."""

    async def main() -> None:
        limiter = hocket.CapacityLimiter(total)
        inside: set[int] = set()
        arrived: list[int] = []
        overtaken: list[Any] = []

        async def visit(number: int, before: int, during: int) -> None:
            await turns(before)
            arrived.append(number)
            async with limiter:
                before_me = [tasks[other] for other in arrived[: arrived.index(number)]]
                with_tokens = limiter.statistics().borrowers
                overtaken.extend(
                    task for task in before_me if not (task in with_tokens or task.done() or task.cancelling())
                )
                inside.add(number)
                try:
                    await turns(during)
                finally:
                    inside.discard(number)

        tasks = [start(visit(number, *step[:2])) for number, step in enumerate(plan)]
        largest = total
        for turn in range(12):
            for task, (_, _, when) in zip(tasks, plan, strict=True):
                if when == turn:
                    task.cancel()
            for when, value in changes:
                if when == turn:
                    limiter.total_tokens = value
                    largest = max(largest, value)
            await asyncio.sleep(0)
            assert len(inside) <= limiter.borrowed_tokens <= largest
        limiter.total_tokens = 10
        await asyncio.gather(*tasks, return_exceptions=True)
        facts = limiter.statistics()
        assert (facts.borrowed_tokens, facts.tasks_waiting) == (0, 0)
        assert not overtaken

    run(main())
