"""`hocket.sleep`, `gather`, `shield`, `wait`, `wait_for`, `as_completed`, `timeout`, `TaskGroup` and `to_thread`."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

import hocket

from .loops import EVERY, run

EACH_LOOP = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


async def fail(message: str = "failed") -> None:
    raise ValueError(message)


@EACH_LOOP
def test_sleep_waits_as_long_as_it_says(factory: Any) -> None:
    """Not shorter, and it gives the result."""

    async def main() -> tuple[bool, object]:
        loop = asyncio.get_running_loop()
        before = loop.time()
        result = await hocket.sleep(0.02, "rested")
        return loop.time() - before > 0.015, result

    assert run(factory, main()) == (True, "rested")


@EACH_LOOP
def test_sleep_of_nothing_gives_one_turn_to_the_others(factory: Any) -> None:
    """Tasks alternate."""

    async def main() -> list[str]:
        trace: list[str] = []

        async def worker(name: str) -> None:
            for _ in range(3):
                trace.append(name)
                await hocket.sleep(0)

        await hocket.gather(worker("a"), worker("b"))
        return trace

    assert run(factory, main()) == ["a", "b"] * 3


def test_sleep_of_nan_is_refused() -> None:
    """ValueError."""
    with pytest.raises(ValueError, match="NaN"):
        hocket.sleep(float("nan"))


def test_cancelled_sleep_takes_its_timer_back() -> None:
    """No timer is left behind."""

    async def main() -> int:
        loop: Any = asyncio.get_running_loop()
        before = len(loop._scheduled)
        task = asyncio.create_task(hocket.sleep(1000))
        await hocket.sleep(0)
        assert len(loop._scheduled) == before + 1
        task.cancel()
        await asyncio.wait([task])
        return len(loop._scheduled) - before

    assert hocket.run(main()) == 0


@EACH_LOOP
def test_gather_keeps_the_order_of_its_arguments(factory: Any) -> None:
    """Results stand where the arguments stood, the same argument twice counts once."""

    async def main() -> list[object]:
        shared = asyncio.ensure_future(hocket.sleep(0.001, "shared"))
        result: list[object] = await hocket.gather(hocket.sleep(0.002, 1), shared, hocket.sleep(0, 3), shared)
        return result

    assert run(factory, main()) == [1, "shared", 3, "shared"]


@EACH_LOOP
def test_gather_raises_the_first_exception_and_lets_the_others_go_on(factory: Any) -> None:
    """Or gives exceptions as results, if asked to."""

    async def main() -> list[object]:
        other = asyncio.ensure_future(hocket.sleep(0.001, "other"))
        with pytest.raises(ValueError, match="failed"):
            await hocket.gather(fail(), other)
        results = await hocket.gather(fail("x"), other, return_exceptions=True)
        return [type(results[0]), results[1]]

    assert run(factory, main()) == [ValueError, "other"]


@EACH_LOOP
def test_cancelled_gather_cancels_its_children(factory: Any) -> None:
    """All of them, and the outer future with them, whatever return_exceptions says."""

    async def main() -> list[bool]:
        children = [asyncio.ensure_future(hocket.sleep(100)) for _ in range(3)]
        gathered = hocket.gather(*children, return_exceptions=True)
        await hocket.sleep(0)
        gathered.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gathered
        return [child.cancelled() for child in children]

    assert run(factory, main()) == [True] * 3


@EACH_LOOP
def test_shield_keeps_a_cancellation_away(factory: Any) -> None:
    """The task that waits is cancelled, the shielded one is not."""

    async def main() -> object:
        inner = asyncio.ensure_future(hocket.sleep(0.005, "done"))

        async def outer() -> None:
            await hocket.shield(inner)

        task = asyncio.create_task(outer())
        await hocket.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await inner

    assert run(factory, main()) == "done"


@EACH_LOOP
def test_wait_tells_who_is_done(factory: Any) -> None:
    """After a time, or at the first to end."""

    async def main() -> tuple[int, int]:
        quick, slow = asyncio.ensure_future(hocket.sleep(0)), asyncio.ensure_future(hocket.sleep(100))
        done, pending = await hocket.wait([quick, slow], return_when=asyncio.FIRST_COMPLETED)
        assert (done, pending) == ({quick}, {slow})
        done, pending = await hocket.wait([slow], timeout=0.001)
        slow.cancel()
        return len(done), len(pending)

    assert run(factory, main()) == (0, 1)


@EACH_LOOP
def test_wait_for_cancels_what_is_late(factory: Any) -> None:
    """TimeoutError, and the coroutine has been cancelled."""

    async def main() -> list[str]:
        trace = []

        async def late() -> None:
            try:
                await hocket.sleep(100)
            except asyncio.CancelledError:
                trace.append("cancelled")
                raise

        with pytest.raises(TimeoutError):
            await hocket.wait_for(late(), 0.001)
        return trace

    assert run(factory, main()) == ["cancelled"]


@EACH_LOOP
def test_as_completed_gives_the_quick_ones_first(factory: Any) -> None:
    """As tasks in `async for`, as coroutines in `for`."""

    async def main() -> tuple[list[object], list[object]]:
        first = [await task async for task in hocket.as_completed([hocket.sleep(0.5, 2), hocket.sleep(0.001, 1)])]
        second = [await task for task in hocket.as_completed([hocket.sleep(0.5, 2), hocket.sleep(0.001, 1)])]
        return first, second

    assert run(factory, main()) == ([1, 2], [1, 2])


@EACH_LOOP
def test_timeout_turns_its_own_cancellation_into_an_error(factory: Any) -> None:
    """TimeoutError outside of the block, and no request to cancel is left."""

    async def main() -> tuple[bool, int]:
        task: Any = asyncio.current_task()
        with pytest.raises(TimeoutError):
            async with hocket.timeout(0.001) as block:
                await hocket.sleep(100)
        return block.expired(), task.cancelling()

    assert run(factory, main()) == (True, 0)


@EACH_LOOP
def test_timeout_leaves_other_cancellations_alone(factory: Any) -> None:
    """A task that is cancelled from outside stays cancelled."""

    async def main() -> bool:
        async def worker() -> None:
            async with hocket.timeout(100):
                await hocket.sleep(100)

        task = asyncio.create_task(worker())
        await hocket.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert run(factory, main()) is True


@EACH_LOOP
def test_timeout_can_be_moved_and_called_off(factory: Any) -> None:
    """reschedule() to later, to never, and to the past."""

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        async with hocket.timeout(0.001) as block:
            block.reschedule(loop.time() + 100)
            await hocket.sleep(0.005)
            block.reschedule(None)
            assert block.when() is None
        with pytest.raises(TimeoutError):
            async with hocket.timeout(None) as block:
                block.reschedule(loop.time() - 1)
                await hocket.sleep(100)
        return block.expired()

    assert run(factory, main()) is True


@EACH_LOOP
def test_group_waits_for_its_tasks(factory: Any) -> None:
    """When the block is over, they are done."""

    async def main() -> list[object]:
        async with hocket.TaskGroup() as group:
            tasks = [group.create_task(hocket.sleep(0.001 * number, number)) for number in range(4)]
        return [task.result() for task in tasks]

    assert run(factory, main()) == [0, 1, 2, 3]


@EACH_LOOP
def test_group_cancels_the_others_when_one_fails(factory: Any) -> None:
    """And the block; all exceptions come out together."""

    async def main() -> tuple[bool, int]:
        task: Any = asyncio.current_task()
        with pytest.raises(ExceptionGroup) as raised:
            async with hocket.TaskGroup() as group:
                other = group.create_task(hocket.sleep(100))
                group.create_task(fail())
                await hocket.sleep(100)
        assert [type(error) for error in raised.value.exceptions] == [ValueError]
        return other.cancelled(), task.cancelling()

    assert run(factory, main()) == (True, 0)


@EACH_LOOP
def test_cancelled_group_cancels_its_tasks(factory: Any) -> None:
    """The task that waits at the end of the block is cancelled with all of them."""

    async def main() -> list[bool]:
        members: list[Any] = []

        async def worker() -> None:
            async with hocket.TaskGroup() as group:
                members.append(group.create_task(hocket.sleep(100)))

        task = asyncio.create_task(worker())
        await hocket.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])
        return [task.cancelled(), members[0].cancelled()]

    assert run(factory, main()) == [True, True]


@EACH_LOOP
def test_to_thread_runs_elsewhere_with_the_context(factory: Any) -> None:
    """In another thread, where the context variables are those of the task."""

    def work(*args: object, **options: object) -> tuple[bool, str, object, object]:
        return threading.current_thread() is not threading.main_thread(), variable.get(), args, options

    async def main() -> object:
        variable.set("task")
        return await hocket.to_thread(work, 1, key=2)

    assert run(factory, main()) == (True, "task", (1,), {"key": 2})


@EACH_LOOP
def test_to_thread_passes_an_exception_on(factory: Any) -> None:
    """What the function raises is raised at the await."""

    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await hocket.to_thread(lambda: 1 / 0)

    run(factory, main())
