"""`asyncio.capture_call_graph` on hocket: who waits for whom, also where asyncio's own futures are in between.

CPython's own tests of it are part of the conformance suite; these are about mixtures that it does not know.
"""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest

import hocket

if not hasattr(asyncio, "capture_call_graph"):
    pytest.skip("asyncio has call graphs from Python 3.14 on", allow_module_level=True)


def waiters(future: Any) -> list[str]:
    """The names of the tasks that wait for *future*."""
    graph = asyncio.capture_call_graph(future)  # type: ignore[attr-defined]
    return sorted(parent.future.get_name() for parent in graph.awaited_by)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def wait_for(future: Any) -> object:
    return await future


def run(main: Any) -> None:
    hocket.run(asyncio.wait_for(main, 20))


def test_a_future_of_asyncios_own_class_shows_hockets_tasks_that_await_it() -> None:
    """The C class has no room for them; the graph finds them all the same."""

    async def main() -> None:
        future = asyncio.Future()
        assert type(future) is not hocket.Future
        tasks = [asyncio.create_task(wait_for(future), name=name) for name in "ab"]
        await settle()
        assert waiters(future) == ["a", "b"]
        future.set_result(None)
        await asyncio.wait(tasks)
        assert waiters(future) == []

    run(main())


def test_gathering_asyncios_own_futures_shows_the_task_that_gathers() -> None:
    """`asyncio.gather` tells of the task; until the futures are done it is among their waiters, then no more."""

    async def main() -> None:
        first, second = asyncio.Future(), asyncio.Future()

        async def gathering() -> None:
            await asyncio.gather(first, second)

        task = asyncio.create_task(gathering(), name="gathering")
        await settle()
        assert (waiters(first), waiters(second)) == (["gathering"], ["gathering"])
        first.set_result(None)
        second.set_result(None)
        await task
        assert (waiters(first), waiters(second)) == ([], [])

    run(main())


def test_a_task_of_asyncios_own_class_shows_as_a_waiter() -> None:
    """A task factory may mix classes on one loop: asyncio's task that awaits hocket's future is in its graph."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        stock = asyncio.Task(wait_for(future), loop=loop, name="stock")
        assert type(stock) is not hocket.Task
        await settle()
        assert waiters(future) == ["stock"]
        future.set_result(None)
        await stock
        assert waiters(future) == []

    run(main())


def test_callbacks_that_wake_nobody_are_no_waiters() -> None:
    """A done callback is no task, even if it is a method of one."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        task = asyncio.current_task()
        assert task is not None
        future.add_done_callback(print)
        future.add_done_callback(task.cancelled)
        assert waiters(future) == []
        future.cancel()

    run(main())


@pytest.mark.parametrize("through", ["gather", "wait", "shield", "as_completed", "TaskGroup", "wait_for", "timeout"])
def test_who_waits_is_forgotten_when_the_wait_is_over(through: str) -> None:
    """While a task waits through *through* it is among the waiters; afterwards nothing keeps it."""

    async def main() -> None:
        inner = asyncio.create_task(asyncio.sleep(60), name="inner")

        async def outer() -> None:
            if through == "gather":
                await asyncio.gather(inner, return_exceptions=True)
            elif through == "wait":
                await asyncio.wait([inner])
            elif through == "shield":
                await asyncio.gather(asyncio.shield(inner), return_exceptions=True)
            elif through == "as_completed":
                for next_done in asyncio.as_completed([inner]):
                    await asyncio.wait([asyncio.ensure_future(next_done)])
            elif through == "TaskGroup":
                async with asyncio.TaskGroup() as group:
                    group.create_task(wait_quietly(inner))
            elif through == "wait_for":
                await asyncio.wait_for(wait_quietly(inner), 30)
            else:
                async with asyncio.timeout(30):
                    await wait_quietly(inner)

        async def wait_quietly(task: Any) -> None:
            try:
                await task
            except asyncio.CancelledError:
                pass

        task = asyncio.create_task(outer(), name="outer")
        await settle()
        graph = asyncio.format_call_graph(inner)  # type: ignore[attr-defined]
        assert "outer" in graph, graph
        inner.cancel()
        await task
        assert waiters(inner) == []

    run(main())


def test_printing_the_graph_of_the_running_task() -> None:
    """`print_call_graph` inside nested tasks tells every level."""

    async def main() -> None:
        out = io.StringIO()

        async def leaf() -> None:
            await asyncio.sleep(0)
            asyncio.print_call_graph(file=out)  # type: ignore[attr-defined]

        async def middle() -> None:
            await asyncio.gather(asyncio.create_task(leaf(), name="leaf"))

        async with asyncio.TaskGroup() as group:
            group.create_task(middle(), name="middle")
        text = out.getvalue()
        assert "leaf" in text and "middle" in text and "main()" in text

    run(main())
