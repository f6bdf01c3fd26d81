"""`wait`, `wait_for` and `as_completed`, as in `asyncio.tasks` of the newest Python."""

from __future__ import annotations

import asyncio
import inspect
from asyncio import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from collections.abc import Coroutine, Iterable
from typing import Any

from hocket.core import asyncio_private
from hocket.core.future import add_to_awaited_by, discard_from_awaited_by
from hocket.primitives.queues import Queue
from hocket.primitives.timeouts import timeout as timeout_block


async def wait(
    fs: Iterable[Any], *, timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> tuple[set[Any], set[Any]]:
    """Wait for futures or tasks; gives two sets: those that are done, and those that are not.  As `asyncio.wait`.

    It waits until all are done, or as *return_when* says (``FIRST_COMPLETED``, ``FIRST_EXCEPTION``), but not longer
    than *timeout* seconds.  It cancels nothing, and its own cancellation leaves them alone, too.  Raises `TypeError`
    for coroutines and `ValueError` for an empty set::

        done, pending = await hocket.wait(tasks, timeout=1.0)
    """
    if asyncio.isfuture(fs) or asyncio.iscoroutine(fs):
        raise TypeError(f"expect a list of futures, not {type(fs).__name__}")
    if not fs:
        raise ValueError("Set of Tasks/Futures is empty.")
    if return_when not in (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED):
        raise ValueError(f"Invalid return_when value: {return_when}")
    futures = set(fs)
    if any(asyncio.iscoroutine(future) for future in futures):
        raise TypeError("Passing coroutines is forbidden, use tasks explicitly.")
    return await _wait(futures, timeout, return_when, asyncio.get_running_loop())


async def _wait(futures: set[Any], timeout: float | None, return_when: str, loop: Any) -> tuple[set[Any], set[Any]]:
    assert futures, "Set of Futures is empty."
    waiter = loop.create_future()
    timer = None if timeout is None else loop.call_later(timeout, _release, waiter)
    left = len(futures)
    task = asyncio.current_task()

    def done(future: Any) -> None:
        nonlocal left
        left -= 1
        if (
            left <= 0
            or return_when == FIRST_COMPLETED
            or (return_when == FIRST_EXCEPTION and not future.cancelled() and future.exception() is not None)
        ):
            if timer is not None:
                timer.cancel()
            _release(waiter)
        discard_from_awaited_by(future, task)

    for future in futures:
        future.add_done_callback(done)
        add_to_awaited_by(future, task)
    try:
        await waiter
    finally:
        if timer is not None:
            timer.cancel()
        for future in futures:
            future.remove_done_callback(done)
            discard_from_awaited_by(future, task)
    finished = {future for future in futures if future.done()}
    return finished, futures - finished


def _release(waiter: Any, *_: object) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def wait_for(fut: Any, timeout: float | None) -> Any:
    """Wait for *fut*, a future or a coroutine, *timeout* seconds at most; None: for ever.  As `asyncio.wait_for`.

    When the time is over *fut* is cancelled and `TimeoutError` raised; if it refuses and gives a result, that is the
    result.  A coroutine runs in the task that waits, as in asyncio from Python 3.12 on, and a result that is there is
    never lost to a cancellation.  With a *timeout* of 0 or less only what is done already counts::

        page = await hocket.wait_for(fetch(url), 10)
    """
    if timeout is not None and timeout <= 0:
        fut = asyncio.ensure_future(fut)
        if fut.done():
            return fut.result()
        await _cancel_and_wait(fut)
        try:
            return fut.result()
        except asyncio.CancelledError as error:
            raise TimeoutError from error
    async with timeout_block(timeout):
        return await fut


async def _cancel_and_wait(future: Any) -> None:
    waiter = asyncio.get_running_loop().create_future()
    task = asyncio.current_task()

    def release(_: Any) -> None:
        _release(waiter)

    future.add_done_callback(release)
    add_to_awaited_by(future, task)
    try:
        future.cancel()
        # Not for the future itself: cancelling this task must end the wait.
        await waiter
    finally:
        future.remove_done_callback(release)
        discard_from_awaited_by(future, task)


class _AsCompleted:
    """What `as_completed` gives: an iterator both for ``for`` and for ``async for``."""

    def __init__(self, aws: Iterable[Any], timeout: float | None) -> None:
        self._done: Queue = Queue()
        self._timer: Any = None
        loop = asyncio_private.get_loop_for_future()
        self._task = None if asyncio_private.running_loop() is None else asyncio.current_task()
        self._todo = {asyncio.ensure_future(awaitable, loop=loop) for awaitable in set(aws)}
        for future in self._todo:
            future.add_done_callback(self._on_done)
            add_to_awaited_by(future, self._task)
        if self._todo and timeout is not None:
            self._timer = loop.call_later(timeout, self._on_timeout)
        self._left = len(self._todo)

    def __aiter__(self) -> _AsCompleted:
        return self

    def __iter__(self) -> _AsCompleted:
        return self

    async def __anext__(self) -> Any:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        return await self._next()

    def __next__(self) -> Coroutine[Any, Any, Any]:
        if not self._left:
            raise StopIteration
        self._left -= 1
        return self._next_result()

    def _on_timeout(self) -> None:
        for future in self._todo:
            future.remove_done_callback(self._on_done)
            discard_from_awaited_by(future, self._task)
            self._done.put_nowait(None)
        self._todo.clear()

    def _on_done(self, future: Any) -> None:
        if not self._todo:
            return
        self._todo.remove(future)
        discard_from_awaited_by(future, self._task)
        self._done.put_nowait(future)
        if not self._todo and self._timer is not None:
            self._timer.cancel()

    async def _next(self) -> Any:
        future = await self._done.get()
        if future is None:
            raise TimeoutError
        return future

    async def _next_result(self) -> Any:
        return (await self._next()).result()


def as_completed(fs: Iterable[Any], *, timeout: float | None = None) -> _AsCompleted:
    """The awaitables *fs* in the order in which they end.  As `asyncio.as_completed` of Python 3.13.

    ``async for`` gives the futures and tasks themselves, done; plain ``for`` gives coroutines of the results.  After
    *timeout* seconds `TimeoutError` is raised for those that are left::

        async for task in hocket.as_completed(tasks):
            print(await task)
    """
    if inspect.isawaitable(fs):
        raise TypeError(f"expects an iterable of awaitables, not {type(fs).__name__}")
    return _AsCompleted(fs, timeout)
