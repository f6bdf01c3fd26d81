"""`hocket.core.wait`: what a task waits for without a future, and who else may wait for it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import hocket

from .loops import EVERY, run

EACH_LOOP = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
PythonTask: Any = asyncio.tasks._PyTask  # type: ignore[attr-defined]
CTask: Any = asyncio.tasks._CTask  # type: ignore[attr-defined]


@EACH_LOOP
@pytest.mark.parametrize("make", [PythonTask, CTask, hocket.Task], ids=["python", "c", "hocket"])
def test_tasks_of_every_kind_wait_and_are_woken(factory: Any, make: Any) -> None:
    """asyncio's own tasks, and ours on any loop: woken, cancelled with the message, and with a result."""

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        event, queue, seen = hocket.Event(), hocket.Queue(), []

        async def wait() -> object:
            try:
                return await event.wait()
            except asyncio.CancelledError as error:
                seen.append(error.args)
                raise

        async def get() -> object:
            return await queue.get()

        woken, cancelled, getter = (make(body(), loop=loop) for body in (wait, wait, get))
        slept = make(hocket.sleep(0.001, "slept"), loop=loop)
        await asyncio.sleep(0)
        cancelled.cancel("enough")
        queue.put_nowait("item")
        await asyncio.sleep(0)
        event.set()
        results = [await woken, await getter, await slept, cancelled.cancelled(), *seen]
        assert len(event._waiters) == 0 and len(queue._getters) == 0
        return results

    assert run(factory, main()) == [True, "item", "slept", True, ("enough",)]


@EACH_LOOP
def test_a_task_shows_what_it_waits_for(factory: Any) -> None:
    """repr(task) names the operation that it waits for."""

    async def main() -> str:
        task = hocket.Task(waiting(), loop=asyncio.get_running_loop())
        await asyncio.sleep(0)
        shown = repr(task)
        task.cancel()
        await asyncio.wait([task])
        return shown

    async def waiting() -> None:
        lock = hocket.Lock()
        await lock.acquire()
        await lock.acquire()

    assert "wait_for=<coroutine Lock.acquire" in run(factory, main())


def test_is_a_future_only_while_it_waits() -> None:
    """Before it is awaited it is a coroutine, and ensure_future() makes a task of it."""

    async def main() -> None:
        wait = hocket.Event().wait()
        assert not asyncio.isfuture(wait)
        assert wait.send(None) is wait
        assert asyncio.isfuture(wait)
        assert wait.get_loop() is asyncio.get_running_loop()
        assert not wait.done()
        with pytest.raises(asyncio.InvalidStateError):
            wait.result()
        wait.close()

    hocket.run(main())


def test_callbacks_hear_that_it_is_over() -> None:
    """In their context, through call_soon; at once if it is over; not if they were removed."""

    async def main() -> list[str]:
        event, heard = hocket.Event(), []
        wait = event.wait().send(None)
        removed = heard.append
        wait.add_done_callback(removed)
        wait.add_done_callback(lambda _: heard.append("first"))
        assert wait.remove_done_callback(removed) == 1
        event.set()
        assert heard == []
        await asyncio.sleep(0)
        wait.add_done_callback(lambda _: heard.append("late"))
        await asyncio.sleep(0)
        assert wait.result() is None and wait.exception() is None
        assert not wait.cancel()
        wait.close()
        return heard

    assert hocket.run(main()) == ["first", "late"]


def test_cancelled_and_woken_in_one_turn_nothing_is_lost() -> None:
    """The item stays in the queue, the permit and the lock go to the next."""

    async def main() -> list[object]:
        queue, semaphore, lock = hocket.Queue(), hocket.Semaphore(0), hocket.Lock()
        await lock.acquire()
        tasks = [asyncio.create_task(body) for body in (queue.get(), semaphore.acquire(), lock.acquire())]
        await asyncio.sleep(0)
        queue.put_nowait("item")
        semaphore.release()
        lock.release()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return [queue.get_nowait(), semaphore.locked(), lock.locked(), *(task.cancelled() for task in tasks)]

    assert hocket.run(main()) == ["item", False, False, True, True, True]


def test_a_task_that_is_cancelled_before_it_waits_is_cancelled_there() -> None:
    """The cancellation of a running task strikes at its next wait."""

    async def main() -> tuple[bool, int]:
        event = hocket.Event()

        async def body() -> None:
            asyncio.current_task().cancel()  # type: ignore[union-attr]
            await event.wait()

        task = asyncio.create_task(body())
        await asyncio.wait([task])
        return task.cancelled(), len(event._waiters)

    assert hocket.run(main()) == (True, 0)


def test_yielded_twice_is_refused() -> None:
    """A generator that yields a wait by hand, outside of an await, is told so."""

    class Yielding:
        def __init__(self, wait: Any) -> None:
            self.wait = wait

        def __await__(self) -> Any:
            yield self.wait

    async def main() -> None:
        with pytest.raises(RuntimeError, match="Task got bad yield"):
            await asyncio.create_task(body(hocket.Event().wait()))

    async def body(wait: Any) -> None:
        try:
            await Yielding(wait)
        finally:
            wait.close()

    hocket.run(main())


@EACH_LOOP
def test_to_thread_refuses_once_the_executor_is_shut_down(factory: Any) -> None:
    """RuntimeError, as from run_in_executor."""

    async def main() -> None:
        await hocket.to_thread(int)
        await asyncio.get_running_loop().shutdown_default_executor()
        with pytest.raises(RuntimeError):
            await hocket.to_thread(int)

    run(factory, main())


@EACH_LOOP
def test_to_thread_takes_the_loops_default_executor(factory: Any) -> None:
    """The one that was set."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1, thread_name_prefix="ours"))
        return await hocket.to_thread(lambda: threading.current_thread().name)

    assert run(factory, main()).startswith("ours")


@EACH_LOOP
def test_to_thread_that_is_dropped_by_the_executor_is_cancelled(factory: Any) -> None:
    """A call that has not begun when the executor drops what it has ends with CancelledError, as with asyncio; so does
    one whose task is cancelled, and it is not run any more."""

    async def main() -> list[object]:
        executor = ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(executor)
        begun, go, ran = threading.Event(), threading.Event(), []

        def hold() -> None:
            begun.set()
            go.wait(10)

        first = asyncio.create_task(hocket.to_thread(hold))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        cancelled = asyncio.create_task(hocket.to_thread(ran.append, 1))
        dropped = asyncio.create_task(hocket.to_thread(ran.append, 2))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        executor.shutdown(wait=False, cancel_futures=True)
        await asyncio.wait([dropped])
        go.set()
        await first
        return [cancelled.cancelled(), dropped.cancelled(), ran]

    assert run(factory, main()) == [True, True, []]


@EACH_LOOP
def test_to_thread_asks_a_loop_that_has_its_own_run_in_executor(factory: Any) -> None:
    """Whoever overrides run_in_executor sees the call."""

    async def main() -> object:
        loop = asyncio.get_running_loop()

        def own(executor: Any, func: Any, *args: Any) -> Any:
            future = loop.create_future()
            future.set_result(("seen", func(*args)))
            return future

        loop.run_in_executor = own  # type: ignore[assignment]
        return await hocket.to_thread(int, "2")

    assert run(factory, main()) == ("seen", 2)
