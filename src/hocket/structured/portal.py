"""Portals: a door into a loop for threads that the loop has not started.

A `BlockingPortal` is opened inside of a loop and handed to other threads; `start_blocking_portal` starts a loop in a
thread of its own first, so that a program without one, or a library with an ordinary interface, can use coroutines.  As
in `anyio.from_thread`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import math
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import copy_context
from types import TracebackType
from typing import Any, TypeVar, TypeVarTuple, cast

from hocket.structured.budgets import budget, current_budget
from hocket.structured.hosts import Reply, name_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class BlockingPortal:
    """Runs what other threads ask for in the loop in which it was opened::

        async with hocket.from_thread.BlockingPortal() as portal:
            library.start(on_event=lambda event: portal.call(handle, event))
            await portal.sleep_until_stopped()

    Leaving the block waits for all that was asked for; if it is left by an exception, a cancellation for one, what
    still runs is cancelled first.  `start_blocking_portal` opens one in a thread of its own.
    """

    def __init__(self) -> None:
        self._loop: Any = None
        self._thread = 0
        self._stopped: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def __aenter__(self) -> BlockingPortal:
        if self._loop is not None:
            raise RuntimeError("this portal has been opened before: make a new one")
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stopped = asyncio.Event()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop(cancel_remaining=error is not None)
        while self._tasks:
            try:
                await asyncio.wait(self._tasks)
            except asyncio.CancelledError:
                self._stop(cancel_remaining=True)
                if self._tasks:
                    await asyncio.wait(self._tasks)
                raise

    async def sleep_until_stopped(self) -> None:
        """Wait until `stop` is called."""
        self._check()
        assert self._stopped is not None
        await self._stopped.wait()

    async def stop(self, cancel_remaining: bool = False) -> None:
        """Take no more calls; with *cancel_remaining* cancel those under way.  Threads stop it by
        ``portal.call(portal.stop)``."""
        self._check()
        self._stop(cancel_remaining)

    def _stop(self, cancel_remaining: bool) -> None:
        self._closed = True
        if self._stopped is not None:
            self._stopped.set()
        if cancel_remaining:
            current = asyncio.current_task()
            for task in list(self._tasks):
                if task is not current:
                    task.cancel()

    def _check(self) -> None:
        if self._loop is None:
            raise RuntimeError("this portal is not open: use it in an async with block")
        if self._closed:
            raise RuntimeError("this portal is closed")

    # -- For other threads

    def call(self, func: Callable[[*Ts], Awaitable[T] | T], /, *args: *Ts) -> T:
        """Have the loop run ``func(*args)``, and await it if that is to be awaited; wait for the result and give it.

        Raises what it raises; `concurrent.futures.CancelledError` if it is cancelled; `RuntimeError` if the portal is
        closed, if its loop closes meanwhile, or if this is the loop's own thread.
        """
        return self.start_task_soon(func, *args).result()

    def start_task_soon(
        self, func: Callable[[*Ts], Awaitable[T] | T], /, *args: *Ts, name: object = None
    ) -> concurrent.futures.Future[T]:
        """As `call`, without waiting: a future of the result.  To cancel that cancels the task.

        *name* is the task's.  Raises `RuntimeError` as `call` does.
        """
        future = Reply(self._loop_of_another_thread())
        self._spawn(func, args, name, {}, future)
        return future

    def start_task(
        self, func: Callable[..., Awaitable[Any]], /, *args: object, name: object = None
    ) -> tuple[concurrent.futures.Future[Any], Any]:
        """Start ``func(*args, task_status=...)`` and wait until it calls ``task_status.started(value)``: its future,
        and the value.

        Raises what it raises before that, and `RuntimeError` if it ends without; and as `call` does.
        """
        loop = self._loop_of_another_thread()
        future, started = Reply(loop), Reply(loop)

        def ended(future: concurrent.futures.Future[Any]) -> None:
            if future.cancelled():
                started.cancel()
                return
            error = future.exception()
            name = getattr(func, "__qualname__", func)
            started.fail(
                RuntimeError(f"{name} has ended without a call of task_status.started()") if error is None else error
            )

        future.add_done_callback(ended)
        self._spawn(func, args, name, {"task_status": _Started(started)}, future)
        return future, started.result()

    def wrap_async_context_manager(self, manager: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
        """*manager* for an ordinary ``with``; it is entered and left in one task of the loop."""
        return _Entered(self, manager)

    def _loop_of_another_thread(self) -> Any:
        self._check()
        if self._thread == threading.get_ident():
            raise RuntimeError("this is the thread of the portal's loop, which a call would block: await instead")
        return self._loop

    def _spawn(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        name: object,
        options: dict[str, Any],
        future: Reply,
    ) -> None:
        if not callable(func):
            raise TypeError(f"a portal expected a function, got {func!r}")
        context = copy_context()

        def start() -> None:
            if self._closed:
                future.fail(RuntimeError("this portal is closed"))
                return
            if future.cancelled():
                return
            task = self._loop.create_task(
                _answer(func, args, options, future), name=name or name_of(func), context=context
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda task: task.cancelled() and future.cancel())
            future.add_done_callback(lambda future: self._cancel_with(future, task))

        self._loop.call_soon_threadsafe(start)

    def _cancel_with(self, future: concurrent.futures.Future[Any], task: asyncio.Task[Any]) -> None:
        if not future.cancelled() or task.done():
            return
        try:
            self._loop.call_soon_threadsafe(task.cancel)
        except RuntimeError:
            pass  # The loop is closed, and the task with it.


class _Started:
    """The ``task_status`` of `BlockingPortal.start_task`."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def started(self, value: object = None) -> None:
        """Give *value* to who waits for the start.  Raises `RuntimeError` the second time."""
        if self._reply.done():
            raise RuntimeError("task_status.started() was called twice")
        self._reply.finish(value)


class _Entered(AbstractContextManager[T]):
    """An asynchronous context manager that is entered through a portal."""

    def __init__(self, portal: BlockingPortal, manager: AbstractAsyncContextManager[T]) -> None:
        self._portal = portal
        self._manager = manager
        self._future: concurrent.futures.Future[bool | None]
        self._leave: asyncio.Event
        self._error: tuple[Any, Any, Any] = (None, None, None)

    def __enter__(self) -> T:
        self._future, value = self._portal.start_task(self._hold)
        return cast(T, value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._error = (kind, error, traceback)
        self._portal._loop.call_soon_threadsafe(self._leave.set)
        try:
            return self._future.result()
        finally:
            self._error = (None, None, None)

    async def _hold(self, *, task_status: _Started) -> bool | None:
        self._leave = asyncio.Event()
        value = await self._manager.__aenter__()
        task_status.started(value)
        try:
            await self._leave.wait()
        except BaseException as error:
            if not await self._manager.__aexit__(type(error), error, error.__traceback__):
                raise
            return None
        return await self._manager.__aexit__(*self._error)


async def _answer(func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any], future: Reply) -> None:
    try:
        # The time of the thread that asks is that of the task, too.
        with budget(math.inf) if current_budget() is not None else contextlib.nullcontext():
            result = func(*args, **options)
            if inspect.isawaitable(result):
                result = await result
        future.finish(result)
    except asyncio.CancelledError:
        future.cancel()
        raise
    except BaseException as error:
        future.fail(error)
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise


#: For how long whoever is interrupted while a portal opens waits for its thread to end, in seconds.
_OPENING = 5.0


@contextlib.contextmanager
def start_blocking_portal(
    *, debug: bool | None = None, loop_factory: Callable[[], Any] | None = None, name: str | None = None
) -> Iterator[BlockingPortal]:
    """Run a loop in a new thread and open a portal in it; at the end of the block wait for what was asked for, and end
    both.  If the block is left by an exception, what still runs is cancelled.

    *name* is the thread's; *debug* and *loop_factory* are as for `hocket.run`.  Raises what opening the loop raises::

        with hocket.from_thread.start_blocking_portal() as portal:
            page = portal.call(fetch, "https://example.org")
    """
    from hocket.loop import Runner

    opened: concurrent.futures.Future[BlockingPortal] = concurrent.futures.Future()
    failure: list[BaseException] = []

    async def serve() -> None:
        async with BlockingPortal() as portal:
            if opened.set_running_or_notify_cancel():
                opened.set_result(portal)
                await portal.sleep_until_stopped()

    def run() -> None:
        try:
            with Runner(debug=debug, loop_factory=loop_factory) as runner:
                runner.run(serve())
        except BaseException as error:
            try:
                opened.set_exception(error)
            except concurrent.futures.InvalidStateError:
                failure.append(error)  # It was open, or nobody waits for it any more.

    thread = threading.Thread(target=run, name=name or "hocket-portal", daemon=True)
    cancel_remaining = True
    try:
        thread.start()
        yield opened.result()
        cancel_remaining = False
    finally:
        # Who is interrupted while it opens does without: it closes at once, if the loop can be made.
        given_up = opened.cancel()
        if not given_up and opened.exception() is None:
            portal = opened.result()
            try:
                portal.call(portal._stop, cancel_remaining)
            except RuntimeError:
                pass  # Somebody has stopped it already, or its loop is over.
        with contextlib.suppress(RuntimeError):  # The thread could not be started.
            thread.join(_OPENING if given_up else None)
    if failure:
        raise failure[0]


class BlockingPortalProvider:
    """One portal for several threads: started when the first enters, ended when the last leaves.

    For a library with an ordinary interface whose objects share a loop.  The arguments are `start_blocking_portal`'s::

        provider = hocket.from_thread.BlockingPortalProvider()
        with provider as portal:
            portal.call(fetch, url)
    """

    def __init__(self, *, debug: bool | None = None, loop_factory: Callable[[], Any] | None = None) -> None:
        self._debug = debug
        self._loop_factory = loop_factory
        self._lock = threading.Lock()
        self._users = 0
        self._opened: AbstractContextManager[BlockingPortal] | None = None
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> BlockingPortal:
        with self._lock:
            if self._portal is None:
                self._opened = start_blocking_portal(debug=self._debug, loop_factory=self._loop_factory)
                self._portal = self._opened.__enter__()
            self._users += 1
            return self._portal

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            opened, self._opened, self._portal = self._opened, None, None
        assert opened is not None
        opened.__exit__(None, None, None)
