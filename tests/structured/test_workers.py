"""`hocket.WorkerPool`: so many workers, a bounded line in front of them, and an end that loses nothing."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket
from hocket import BrokenResourceError, ClosedResourceError, WouldBlock
from tests.structured.test_amap import Busy, nothing_left
from tests.structured.test_channels import outcome, start, turns
from tests.unit.loops import EVERY
from tests.unit.loops import run as run_on
from tests.virtual import run


@pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
def test_every_job_is_done_by_the_end_of_the_block(factory: Any) -> None:
    """By no more workers at once than there are, on every loop."""

    async def main() -> None:
        busy, done = Busy(), []

        async def job(number: int) -> None:
            with busy:
                await turns(5 + number % 3)
                done.append(number)

        async with hocket.WorkerPool(job, workers=3, capacity=2) as pool:
            for number in range(20):
                await pool.submit(number)
                assert pool.statistics().waiting <= 2
        assert sorted(done) == list(range(20)) and busy.most == 3
        facts = pool.statistics()
        assert (facts.submitted, facts.done, facts.busy, facts.waiting) == (20, 20, 0, 0)

    run_on(factory, main())


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"workers": 0, "capacity": 1}, ValueError, "workers of 1 or more, got 0"),
        ({"workers": 1.0, "capacity": 1}, TypeError, "workers as an int"),
        ({"workers": 1, "capacity": -1}, ValueError, "capacity of 0 or more items, got -1"),
        ({"workers": 1, "capacity": None}, TypeError, "capacity of a channel as an int"),
        ({"workers": 1}, TypeError, "capacity"),
        ({"capacity": 1}, TypeError, "workers"),
        ({"workers": 1, "capacity": 1, "resource": 3}, TypeError, "gives a context manager as resource, got 3"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(options: Any, error: type[Exception], said: str) -> None:
    """Before anything starts."""
    with pytest.raises(error, match=said):
        hocket.WorkerPool(turns, **options)


def test_a_pool_works_inside_of_its_block_only() -> None:
    """Each misuse says so."""

    async def main() -> None:
        with pytest.raises(TypeError, match="expected a coroutine function, got 3"):
            hocket.WorkerPool(3, workers=1, capacity=1)  # type: ignore[arg-type]
        pool = hocket.WorkerPool(turns, workers=1, capacity=1)
        with pytest.raises(RuntimeError, match="inside of its block only"):
            await pool.submit(1)
        async with pool:
            with pytest.raises(RuntimeError, match="entered already"):
                await pool.__aenter__()
        for used in (pool.submit, pool.call):
            with pytest.raises(ClosedResourceError, match="the block of the pool is over"):
                await used(1)
        with pytest.raises(ClosedResourceError):
            pool.submit_nowait(1)
        with pytest.raises(RuntimeError, match="entered already"):
            await pool.__aenter__()
        assert "finished" in repr(pool)

    run(main())


def test_submit_waits_while_the_line_is_full() -> None:
    """And `submit_nowait` refuses."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with hocket.WorkerPool(asyncio.sleep, workers=1, capacity=2) as pool:
            await pool.submit(10)
            await turns()
            pool.submit_nowait(10)
            pool.submit_nowait(10)
            with pytest.raises(WouldBlock):
                pool.submit_nowait(10)
            await pool.submit(10)
            assert loop.time() - began == 10
            await pool.join()
            assert loop.time() - began == 40

    run(main())


def test_call_gives_the_result_and_raises_the_exception() -> None:
    """To its caller; the pool goes on."""

    async def job(number: int, *, fails: bool = False) -> int:
        await asyncio.sleep(1)
        if fails:
            raise KeyError(number)
        return number * 2

    async def main() -> None:
        async with hocket.WorkerPool(job, workers=2, capacity=5) as pool:
            with pytest.raises(KeyError):
                await pool.call(1, fails=True)
            assert await asyncio.gather(*(pool.call(number) for number in range(5))) == [0, 2, 4, 6, 8]
            facts = pool.statistics()
        assert (facts.done, facts.failed) == (5, 1)
        assert nothing_left()

    run(main())


def test_a_submitted_job_that_fails_ends_the_pool() -> None:
    """And the block, as a task does with its group; callers are told."""

    async def job(number: int) -> None:
        await asyncio.sleep(number)
        if number == 2:
            raise ValueError

    async def main() -> None:
        told = []

        async def caller(pool: Any) -> None:
            told.append(await outcome(pool.call(100)))

        with pytest.raises(ExceptionGroup) as caught:
            async with hocket.WorkerPool(job, workers=2, capacity=5) as pool:
                tasks = [start(caller(pool)) for _ in range(4)]
                await pool.submit(2)
                await asyncio.sleep(100)
        assert [type(error) for error in caught.value.exceptions] == [ValueError]
        await asyncio.gather(*tasks)
        assert set(told) <= {asyncio.CancelledError, ClosedResourceError} and len(told) == 4
        with pytest.raises(ClosedResourceError):
            await pool.submit(1)
        assert nothing_left()

    run(main())


def test_a_block_that_is_left_by_an_exception_ends_the_workers() -> None:
    """Jobs that run and those that wait."""

    async def main() -> None:
        busy = Busy()

        async def job() -> None:
            with busy:
                await asyncio.sleep(100)

        with pytest.raises(ExceptionGroup):
            async with hocket.WorkerPool(job, workers=2, capacity=5) as pool:
                for _ in range(6):
                    await pool.submit()
                await asyncio.sleep(1)
                raise KeyError
        assert (busy.begun, busy.ended) == (2, 2) and nothing_left()
        assert await outcome(asyncio.wait_for(pool.join(), 1)) is None

    run(main())


def test_submitting_to_a_pool_whose_workers_are_gone_is_refused() -> None:
    """In the middle of its failure."""

    async def job() -> None:
        raise ValueError

    async def main() -> list[Any]:
        told: list[Any] = []
        with pytest.raises(ExceptionGroup):
            async with hocket.WorkerPool(job, workers=1, capacity=0) as pool:
                await pool.submit()
                try:
                    await asyncio.sleep(100)
                finally:
                    told.append(await outcome(pool.submit()))
        return told

    assert run(main()) == [BrokenResourceError]


def test_a_cancelled_call_cancels_its_job() -> None:
    """Also one that is still in the line; the pool goes on."""

    async def main() -> None:
        log = []

        async def job(number: int) -> None:
            log.append(f"{number} begins")
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                log.append(f"{number} cancelled")
                raise

        async with hocket.WorkerPool(job, workers=1, capacity=5) as pool:
            first, second = start(pool.call(1)), start(pool.call(2))
            await asyncio.sleep(1)
            second.cancel()
            first.cancel()
            assert [await outcome(first), await outcome(second)] == [asyncio.CancelledError] * 2
            await pool.join()
            assert log == ["1 begins", "1 cancelled"]
            assert pool.statistics().cancelled == 2
            third = start(pool.call(3))
            await asyncio.sleep(1)
            third.cancel()
        assert log[2:] == ["3 begins", "3 cancelled"]

    run(main())


def test_what_a_cancelled_job_raises_is_reported() -> None:
    """Nobody waits for it any more."""

    async def job() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            raise OSError("on the way out")

    async def main() -> list[str]:
        said: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(repr(context["exception"])))
        async with hocket.WorkerPool(job, workers=1, capacity=1) as pool:
            call = start(pool.call())
            await turns()
            call.cancel()
            await outcome(call)
        return said

    assert hocket.run(main()) == ["OSError('on the way out')"]


def test_each_worker_has_a_resource_of_its_own() -> None:
    """Entered once, left when the pool ends."""

    async def main() -> None:
        opened: list[int] = []
        closed: list[int] = []
        used: set[int] = set()

        @asynccontextmanager
        async def connection() -> AsyncIterator[int]:
            number = len(opened)
            opened.append(number)
            try:
                yield number
            finally:
                closed.append(number)

        async def job(number: int, query: str) -> str:
            used.add(number)
            await asyncio.sleep(1)
            return f"{query} of {number}"

        async with hocket.WorkerPool(job, workers=3, capacity=5, resource=connection) as pool:
            answers = await asyncio.gather(*(pool.call("rows") for _ in range(9)))
            assert closed == []
        assert len(answers) == 9 and used == {0, 1, 2}
        assert sorted(closed) == sorted(opened) == [0, 1, 2]

    run(main())


def test_a_job_sees_the_context_of_who_submitted_it() -> None:
    """And what it sets, nobody else sees."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def job() -> str:
        seen = variable.get()
        variable.set("by a job")
        return seen

    async def main() -> list[str]:
        async with hocket.WorkerPool(job, workers=1, capacity=1) as pool:
            seen = []
            for name in ("first", "second"):
                variable.set(name)
                seen.append(await pool.call())
            return seen

    assert run(main()) == ["first", "second"]


@settings(max_examples=150)
@given(
    st.integers(1, 3),
    st.integers(0, 2),
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.none() | st.integers(0, 8), st.booleans()),
        min_size=1,
        max_size=8,
    ),
)
def test_any_schedule_accounts_for_every_job(
    workers: int, capacity: int, plan: list[tuple[bool, int, int | None, bool]]
) -> None:
    """Called or submitted, cancelled whenever, failing or not: the block ends, nothing is left, and each job that was
    submitted is done, has failed, or was cancelled."""

    async def main() -> None:
        busy = Busy()
        # Of a job that fails in the turn in which its caller is cancelled, it is told.
        asyncio.get_running_loop().set_exception_handler(lambda _, context: None)

        async def job(length: int, fails: bool) -> int:
            with busy:
                await turns(length)
            if fails:
                raise ValueError
            return length

        pool = hocket.WorkerPool(job, workers=workers, capacity=capacity)

        async def use(called: bool, length: int, fails: bool) -> Any:
            if called:
                return await pool.call(length, fails)
            return await pool.submit(length, False)

        async with pool:
            tasks = [start(use(called, length, fails)) for called, length, _, fails in plan]
            for turn in range(10):
                for task, (_, _, when, _) in zip(tasks, plan, strict=True):
                    if when == turn:
                        task.cancel()
                await asyncio.sleep(0)
            got = await asyncio.gather(*tasks, return_exceptions=True)
            await pool.join()
            facts = pool.statistics()
            assert (facts.busy, facts.waiting) == (0, 0)
            assert facts.submitted == facts.done + facts.failed + facts.cancelled
        assert busy.now == 0 and busy.most <= workers
        assert nothing_left()
        for result, (called, length, when, fails) in zip(got, plan, strict=True):
            if when is None:
                expected: Any = (ValueError if fails else length) if called else None
                assert (type(result) if isinstance(result, Exception) else result) == expected

    run(main())
