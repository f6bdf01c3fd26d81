"""`to_thread`, as in `asyncio.threads`, and how a task waits for a thread that works for it.

The call goes to the loop's default executor as `asyncio.loop.run_in_executor` would send it.  What comes back goes the
short way: the executor's future tells a `Completion`, in the worker's thread, and that stands in the loop's inbox as
itself, with no future of the loop's and no callback in between.

`joined` and `held` wait in the same way for a `concurrent.futures.Future` of whatever thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from hocket.core import asyncio_private
from hocket.core.engine import Engine
from hocket.core.ready import Runnable
from hocket.core.wait import Wait

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.step import copy_context
    from hocket.primitives.bound import running

P = ParamSpec("P")
T = TypeVar("T")


def to_thread(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
    """``await to_thread(func, *args, **kwargs)`` calls *func* in a thread of the loop's default executor and gives its
    result.  As `asyncio.to_thread`.

    The current context variables are visible there.  Cancelling the task stops the waiting, not the thread::

        text = await hocket.to_thread(path.read_text)
    """
    return _calling(func, args, kwargs)  # type: ignore[no-any-return]


def _calling(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    operation = Call.__new__(Call)
    operation._item = (func, args, kwargs)
    return operation


class Call(Wait):
    """`to_thread`.  ``_owner`` is the executor's future once there is one."""

    __slots__ = ()

    _name = "to_thread"

    def _begin(self) -> Any:
        func, args, kwargs = self._item
        self._item = None
        context = copy_context()
        loop = running()
        if not isinstance(loop, Engine) or not asyncio_private.runs_in_executor(loop):
            return loop.run_in_executor(None, functools.partial(context.run, func, *args, **kwargs))
        return self._attend(loop, asyncio_private.default_executor(loop).submit(context.run, func, *args, **kwargs))

    def _attend(self, engine: Engine, source: Any) -> Any:
        """Wait for *source*, the future of a thread."""
        self._owner = source
        self._suspend(engine)
        completion = Completion.__new__(Completion)
        completion.publishes = False
        completion._engine = engine
        completion._call = self
        source.add_done_callback(completion)
        return self

    def _resume(self) -> Any:
        source = self._owner
        if source is None:
            self._result = self._future.result()
            return None
        self._check_woken()
        self._owner = None
        try:
            error = source.exception()
        except concurrent.futures.CancelledError:
            raise asyncio.CancelledError from None
        if error is None:
            self._result = source.result()
            return None
        try:
            raise _converted(error)
        finally:
            # The traceback holds this frame, and would hold the exception: a cycle.
            self = source = error = None  # type: ignore[assignment]

    def _interrupt(self, error: BaseException) -> Any:
        source = self._owner
        self._owner = None
        if source is not None:
            source.cancel()
        raise error


class Joined(Call):
    """Waits for a thread that is at work already; ``_item`` is its future.  An interruption stops the waiting."""

    __slots__ = ()

    _name = "to_thread.run_sync"

    def _begin(self) -> Any:
        source = self._item
        self._item = None
        return self._attend(running(), source)


class Held(Joined):
    """Waits for a thread to its end.  Who asks to cancel is refused, and the thread's future is told of it: by its
    ``interrupt(message)``, in the loop's thread.

    `Task.cancel` then marks the task, whose next step raises.  By that time there is an outcome, and a value is not
    lost for it: it is what ``await`` gives, and the cancellation comes at the next one.
    """

    __slots__ = ()

    def cancel(self, msg: Any = None) -> bool:
        if self._owner is not None and not self._is_done():
            self._owner.interrupt(msg)
        return False

    def _interrupt(self, error: BaseException) -> Any:
        source = self._owner
        if source is None or not self._woken or not isinstance(error, asyncio.CancelledError):
            raise error
        self._owner = None
        failure = None if source.cancelled() else source.exception()
        task = asyncio.current_task()
        if task is None or source.cancelled() or isinstance(failure, asyncio.CancelledError):
            raise error
        # Once more: as many requests as before, and one that has not been delivered.
        task.uncancel()
        task.cancel(*error.args[:1])
        if failure is None:
            self._result = source.result()
            return None
        try:
            raise _converted(failure)
        finally:
            self = source = failure = error = None  # type: ignore[assignment]


def joined(source: Any) -> Any:
    """Awaitable once: the outcome of *source*, a `concurrent.futures.Future`; to be cancelled without it."""
    operation = Joined.__new__(Joined)
    operation._item = source
    return operation


def held(source: Any) -> Any:
    """Awaitable once: the outcome of *source*, which has a method ``interrupt``, and no cancellation before it."""
    operation = Held.__new__(Held)
    operation._item = source
    return operation


class Completion(Runnable):
    """Told in the worker's thread that a call is over; tells the task in the loop's."""

    __slots__ = ("_call", "_engine")

    _call: Call
    _engine: Engine

    def __call__(self, source: Any) -> None:
        engine = self._engine
        if not engine._closed:
            engine._add_to_inbox(self)

    def run(self) -> None:
        call = self._call
        if not call._is_done():
            call._wake()


def _converted(error: BaseException) -> BaseException:
    """The exceptions of `concurrent.futures` as asyncio's."""
    if type(error) is concurrent.futures.CancelledError:
        return asyncio.CancelledError(*error.args).with_traceback(error.__traceback__)
    if type(error) is concurrent.futures.InvalidStateError:
        return asyncio.InvalidStateError(*error.args).with_traceback(error.__traceback__)
    return error
