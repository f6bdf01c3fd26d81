"""`Operation`, the coroutine-like object that the primitives return; the compiled and the Python twin."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import inspect
import warnings
from typing import Any

import pytest

import hocket

from .loops import EVERY, run

EACH_LOOP = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)


@pytest.mark.parametrize("make", [lambda: hocket.sleep(0), lambda: hocket.sleep(1), lambda: hocket.Event().wait()])
def test_passes_for_a_coroutine(make: Any) -> None:
    """asyncio and collections.abc take it for a coroutine, inspect for an awaitable."""
    operation = make()
    assert asyncio.iscoroutine(operation)
    assert isinstance(operation, collections.abc.Coroutine)
    assert inspect.isawaitable(operation)
    operation.close()


@EACH_LOOP
def test_is_accepted_wherever_a_coroutine_is(factory: Any) -> None:
    """create_task, ensure_future, gather, wait_for, shield and both TaskGroups take it."""

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        results = [
            await asyncio.create_task(hocket.sleep(0, 1)),
            await loop.create_task(hocket.sleep(0.001, 2)),
            await asyncio.ensure_future(hocket.sleep(0.001, 3)),
            await asyncio.wait_for(hocket.sleep(0.001, 4), 10),
            await asyncio.shield(hocket.sleep(0.001, 5)),
            *(await asyncio.gather(hocket.sleep(0.001, 6), hocket.sleep(0, 7))),
            *(await hocket.gather(hocket.sleep(0.001, 8), hocket.sleep(0, 9))),
        ]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(hocket.sleep(0.001, 10))
        async with hocket.TaskGroup() as ours:
            other = ours.create_task(hocket.sleep(0.001, 11))
        return [*results, task.result(), other.result()]

    assert run(factory, main()) == list(range(1, 12))


def test_nothing_happens_before_it_is_awaited() -> None:
    """acquire() takes the lock when it is awaited, not when it is called."""

    async def main() -> tuple[bool, bool]:
        lock = hocket.Lock()
        operation = lock.acquire()
        before = lock.locked()
        await operation
        return before, lock.locked()

    assert hocket.run(main()) == (False, True)


def test_cannot_be_awaited_twice() -> None:
    """A second await raises RuntimeError, as a coroutine does."""

    async def main() -> None:
        operation = hocket.Lock().acquire()
        await operation
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await operation
        pause = hocket.sleep(0)
        await pause
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await pause

    hocket.run(main())


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: hocket.sleep(0), "sleep"),
        (lambda: hocket.sleep(1), "sleep"),
        (lambda: hocket.Lock().acquire(), "Lock.acquire"),
        (lambda: hocket.Queue().get(), "Queue.get"),
    ],
)
def test_one_that_is_never_awaited_warns(make: Any, name: str) -> None:
    """It says so when it goes, by its name."""
    with pytest.warns(RuntimeWarning, match=f"coroutine '{name}' was never awaited"):
        make()


def test_one_that_is_closed_does_not_warn() -> None:
    """close() is the way to do without it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hocket.Lock().acquire().close()
        hocket.sleep(0).close()
        gc.collect()


def test_close_while_it_waits_takes_it_out_of_the_queue() -> None:
    """What was closed does not get the lock any more."""

    async def main() -> None:
        lock = hocket.Lock()
        await lock.acquire()
        operation = lock.acquire()
        operation.send(None)
        operation.close()
        lock.release()
        assert not lock.locked()
        assert not lock._waiters

    hocket.run(main())


def test_send_resumes_and_ends_with_the_result() -> None:
    """Driven by hand, it ends with StopIteration and its value, be that a tuple or an exception."""
    for value in ("x", (1, 2), ValueError("value")):
        queue = hocket.Queue()
        queue.put_nowait(value)
        with pytest.raises(StopIteration) as ended:
            queue.get().send(None)
        assert ended.value.value is value


def test_values_of_every_kind_come_through_await() -> None:
    """Tuples and exceptions are results like others."""

    async def main() -> None:
        for value in ("x", (1, 2), (), ValueError("value"), StopIteration(3)):
            queue = hocket.Queue()
            await queue.put(value)
            assert await queue.get() is value
            assert await hocket.sleep(0.0001, value) is value

    hocket.run(main())


def test_resumed_before_its_time_is_refused() -> None:
    """Whoever resumes it by hand while it waits gets RuntimeError."""

    async def main() -> None:
        operation = hocket.Event().wait()
        operation.send(None)
        with pytest.raises(RuntimeError, match="await wasn't used with future"):
            operation.send(None)

    hocket.run(main())


def test_throw_before_it_began_raises_at_once() -> None:
    """An exception thrown into a new one comes out, and it is over; by instance or by class."""
    operation = hocket.Event().wait()
    with pytest.raises(ValueError, match="no"):
        operation.throw(ValueError("no"))
    with pytest.raises(RuntimeError, match="cannot reuse"):
        operation.send(None)
    with pytest.raises(KeyError):
        hocket.sleep(0).throw(KeyError)


def test_a_task_shows_its_name() -> None:
    """repr(task) names the operation that it runs."""

    async def main() -> str:
        task = asyncio.create_task(hocket.sleep(10))
        shown = repr(task)
        task.cancel()
        await asyncio.wait([task])
        return shown

    assert "coro=<sleep" in hocket.run(main())
