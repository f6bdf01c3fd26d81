"""`to_thread`: calls that block, in threads.

``to_thread(func, ...)`` is asyncio's, on the loop's default executor: what is cancelled stops waiting, and the thread
knows nothing of it.  ``to_thread.run_sync(func, ...)`` is trio's: the call belongs to the task.  The task waits until
the call is over, unless it says that the call may be abandoned, and the thread can ask whether the task is cancelled
and how much time it has left (`hocket.from_thread`).
"""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, cast

from hocket.core.engine import Engine
from hocket.primitives.threads import held, joined
from hocket.primitives.threads import to_thread as _to_thread
from hocket.structured.hosts import Host, ThreadCancelled
from hocket.structured.limiter import CapacityLimiter
from hocket.structured.scopes import checkpoint
from hocket.structured.worker_threads import Job, threads

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: So many threads of one loop at once, unless somebody says otherwise: enough to wait with, too few to thrash.
DEFAULT_THREADS = 40

_limiters: weakref.WeakKeyDictionary[Any, CapacityLimiter] = weakref.WeakKeyDictionary()


async def run_sync(func: Callable[[*Ts], T], /, *args: *Ts, limiter: Any = None, abandon_on_cancel: bool = False) -> T:
    """Call ``func(*args)`` in a thread and give its result.  As `trio.to_thread.run_sync`.

    *limiter* bounds how many such calls run at once: a `hocket.CapacityLimiter`, or anything with ``acquire`` and
    ``release``; without it, that of the loop, which `current_default_thread_limiter` gives (40 at once).  The current
    context variables are visible in the thread.

    If the task is cancelled, by a scope, a deadline or `Task.cancel`, while the thread is at work, the thread can find
    out: `hocket.from_thread.check_cancelled` raises there, what it waits for with `hocket.from_thread.run` is
    cancelled, and `hocket.remaining` has told it all the time how long it may take.  A thread cannot be
    ended from outside, so the task still waits for the call.  If that returns a value after all, it is the result, and
    the cancellation comes at the next `await`.  With *abandon_on_cancel* the task goes on at once; what becomes of the
    call is dropped, an exception of it is reported to the loop's exception handler, and its place in the limiter stays
    taken until it is over.

    Raises what *func* raises; `TypeError` if it cannot be called, or would give a coroutine; `RuntimeError` on a loop
    that is not hocket's::

        with hocket.fail_after(2):
            row = await hocket.to_thread.run_sync(query, "SELECT 1")
    """
    if not callable(func):
        raise TypeError(f"to_thread.run_sync() expected a function, got {func!r}")
    if inspect.iscoroutinefunction(func):
        raise TypeError(
            f"to_thread.run_sync() expected an ordinary function, got {func!r}, which is an async one: await it"
        )
    loop = asyncio.get_running_loop()
    if not isinstance(loop, Engine):
        raise RuntimeError(f"to_thread.run_sync() needs one of hocket's loops, and this is {loop!r}")
    await checkpoint()
    host = Host(loop)
    job = Job(func, args, copy_context(), host)
    if limiter is None:
        limiter = current_default_thread_limiter()
    acquire, release = _ends_of(limiter, host)
    await acquire()
    try:
        threads.start(job)
    except BaseException:
        release()
        raise
    try:
        return cast(T, await (joined(job) if abandon_on_cancel else held(job)))
    except ThreadCancelled:
        # What a thread raises that has found out: here it has to be the cancellation itself.
        await checkpoint()
        raise
    finally:
        if job.done():
            release()
        else:
            host.interrupt()
            job.add_done_callback(partial(_later, loop, release))
        # The traceback of an exception holds this frame, and would hold the exception: a cycle.
        del job, host


def current_default_thread_limiter() -> CapacityLimiter:
    """What bounds `run_sync` on the running loop where no other limiter is given; its tokens may be changed.

    Raises `RuntimeError` without a running loop::

        hocket.to_thread.current_default_thread_limiter().total_tokens = 100
    """
    loop = asyncio.get_running_loop()
    limiter = _limiters.get(loop)
    if limiter is None:
        limiter = _limiters[loop] = CapacityLimiter(DEFAULT_THREADS)
    return limiter


def _ends_of(limiter: Any, borrower: object) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """How to get a place of *limiter* and how to give it back: for the call, which may outlive the task."""
    if hasattr(limiter, "acquire_on_behalf_of"):
        return partial(limiter.acquire_on_behalf_of, borrower), partial(limiter.release_on_behalf_of, borrower)
    if not hasattr(limiter, "acquire") or not hasattr(limiter, "release"):
        raise TypeError(f"limiter expected a CapacityLimiter, or what has acquire() and release(), got {limiter!r}")
    return limiter.acquire, limiter.release


def _later(loop: Any, release: Callable[[], Any], job: Job) -> None:
    """In the thread of a call that was abandoned, when it is over."""
    error = None if job.cancelled() else job.exception()
    try:
        loop.call_soon_threadsafe(_settle, loop, release, error, job.function)
    except RuntimeError:
        pass  # The loop is closed, and nobody waits for the place.


def _settle(loop: Any, release: Callable[[], Any], error: BaseException | None, function: Any) -> None:
    release()
    if error is not None and not isinstance(error, asyncio.CancelledError):
        loop.call_exception_handler(
            {"message": f"A call in a thread that was abandoned has failed: {function!r}", "exception": error}
        )


class _ToThread:
    """``await to_thread(func, *args, **kwargs)`` calls *func* in a thread of the loop's default executor, as
    `asyncio.to_thread`; ``to_thread.run_sync`` in one that belongs to the task::

        text = await hocket.to_thread(path.read_text, encoding="utf-8")
        rows = await hocket.to_thread.run_sync(query, "SELECT 1")
    """

    __name__ = "to_thread"
    run_sync = staticmethod(run_sync)
    current_default_thread_limiter = staticmethod(current_default_thread_limiter)

    def __call__(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        """As `asyncio.to_thread`: the current context variables are visible there, and cancelling the task stops the
        waiting, not the thread."""
        return _to_thread(func, *args, **kwargs)

    def __repr__(self) -> str:
        return "<function hocket.to_thread>"


to_thread = _ToThread()
