"""A result that is not there yet.

`Future` is asyncio's in everything that a program can see, and passes for it (``isinstance(f, asyncio.Future)`` holds
through ``__class__``).  What is its own is how it wakes: a task that awaits it is kept as itself, with no bound method
around it, and goes onto the ready ring as itself when the result arrives.
"""

from __future__ import annotations

import asyncio
import reprlib
import sys
from collections.abc import Callable
from contextvars import Context
from types import GenericAlias
from typing import TYPE_CHECKING, Any

from hocket.core import asyncio_private
from hocket.core.ready import Runnable
from hocket.core.scheduler import Scheduler
from hocket.native.freelist import keep_spare
from hocket.native.iteration import Iteration

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.freelist import drop_attributes
    from hocket.native.iteration import iterate_itself
    from hocket.native.step import copy_context

if TYPE_CHECKING:
    from traceback import StackSummary

# How far it is with the await for which a future is its own iterator.
_NOBODY = 0
_FIRST = 1
_YIELDED = 2

_REFUSE_STOP_ITERATION = sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2)


class Future(Runnable):
    """An awaitable result, or exception, that somebody sets later.  Semantics of `asyncio.Future`.

    *loop* is the loop that runs the callbacks; by default the running one.  Not thread-safe.

    Awaiting a future that is done gives its result at once; a pending one suspends the task.  Cancelling a task that
    awaits it cancels the future::

        future = hocket.Future(loop=loop)
        loop.call_later(1.0, future.set_result, "tea")
        assert await future == "tea"

    Whoever waits stands in ``_first`` and then in ``_more``, in the order of arrival.  With a context of None it is a
    task of this loop, which is woken as itself; any other is a callback to be called in its context.
    ``_scheduler`` is the loop once more if it is one of hocket's, and None on a loop that is not ours.
    """

    # A Future is Runnable only so that Task, which is a Future, may stand in the ready ring.

    def __init__(self, *, loop: Any = None) -> None:
        self._init_future(asyncio_private.get_loop_for_future() if loop is None else loop)

    def _init_future(self, loop: Any) -> None:
        drop_attributes(self)
        self.publishes = False
        self._loop = loop
        self._scheduler: Scheduler | None = loop if isinstance(loop, Scheduler) else None
        self._done = False
        self._cancelled = False
        self._asyncio_future_blocking = False
        self._iterated = _NOBODY
        self._unretrieved = False
        self._result: Any = None
        self._exception: BaseException | None = None
        self._exception_tb: Any = None
        self._cancel_message: Any = None
        self._cancelled_exc: BaseException | None = None
        self._first: Any = None
        self._first_context: Context | None = None
        self._more: list[tuple[Any, Context | None]] | None = None
        # Nobody, the one or the set of those who wait for this one without being woken by it.
        self._awaited_by: Any = None
        self._source_traceback: StackSummary | None = None
        if self._scheduler is not None:
            if self._scheduler._debug:
                self._source_traceback = asyncio_private.creation_stack()
        elif loop.get_debug():
            self._source_traceback = asyncio_private.creation_stack()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return asyncio.Future

    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)

    def __reduce__(self) -> Any:
        """A future cannot be copied or pickled: raises `TypeError`."""
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def __del__(self) -> None:
        if self._unretrieved:
            self._report_never_retrieved()

    def _report_never_retrieved(self) -> None:
        context: dict[str, Any] = {
            "message": f"{type(self).__name__} exception was never retrieved",
            "exception": self._exception,
            "future": self,
        }
        if self._source_traceback:
            context["source_traceback"] = self._source_traceback
        self._loop.call_exception_handler(context)

    @property
    def _state(self) -> str:
        if not self._done:
            return "PENDING"
        return "CANCELLED" if self._cancelled else "FINISHED"

    @property
    def _log_traceback(self) -> bool:
        return bool(self._unretrieved)  # It may be a number, as the next two may: see the .pxd.

    @_log_traceback.setter
    def _log_traceback(self, value: bool) -> None:
        if value:
            raise ValueError("_log_traceback can only be set to False")
        self._unretrieved = False

    @property
    def _callbacks(self) -> list[tuple[Any, Context | None]] | None:
        """Who waits, as asyncio shows it: a task by the method that would wake it."""
        shown: list[tuple[Any, Context | None]] = []
        for waiter, context in self._waiting():
            # A task, or a `Watcher`: they are not called but run.
            shown.append((waiter, context) if context is not None else (waiter._wakeup, waiter.get_context()))
        return shown or None

    @property
    def _asyncio_awaited_by(self) -> frozenset[Any] | None:
        """Who waits for this one, as `asyncio.capture_call_graph` asks: the tasks that it will wake, and those that
        wait for it through a `gather`, a task group and the like, which say so themselves."""
        waiters = set(_several(self._awaited_by))
        for waiter, context in self._waiting():
            if context is not None:
                task = asyncio_private.woken_by(waiter)
            else:
                task = waiter.waiting_task() if isinstance(waiter, Watcher) else waiter
            if task is not None:
                waiters.add(task)
        return frozenset(waiters) or None

    def _waiting(self) -> list[tuple[Any, Context | None]]:
        waiting = [] if self._first is None else [(self._first, self._first_context)]
        return waiting + self._more if self._more is not None else waiting

    def get_loop(self) -> Any:
        """The loop that the future belongs to."""
        self._check_made()
        return self._loop

    def _check_made(self) -> None:
        if self._loop is None:
            raise RuntimeError("Future object is not initialized.")

    # -- Outcome

    def cancelled(self) -> bool:
        """True if the future was cancelled."""
        return bool(self._cancelled)

    def done(self) -> bool:
        """True if the future has a result or an exception, or was cancelled."""
        return bool(self._done)

    def result(self) -> Any:
        """The result.  Raises the exception that was set; `asyncio.CancelledError` if the future was cancelled;
        `asyncio.InvalidStateError` if it is not done."""
        return self._take_outcome()

    def _take_outcome(self) -> Any:
        if not self._done:
            raise asyncio.InvalidStateError("Result is not ready.")
        if self._cancelled:
            raise self._make_cancelled_error()
        self._unretrieved = False
        if self._exception is None:
            return self._result
        try:
            raise self._exception.with_traceback(self._exception_tb)
        finally:
            # The traceback holds this frame, and would hold us: a cycle.
            self = None  # type: ignore[assignment]

    def exception(self) -> BaseException | None:
        """The exception that was set, or None.  Raises as `result` does if cancelled or not done."""
        if not self._done:
            raise asyncio.InvalidStateError("Exception is not set.")
        if self._cancelled:
            raise self._make_cancelled_error()
        self._unretrieved = False
        return self._exception

    def set_result(self, result: Any) -> None:
        """Set the result and wake whoever waits.  Raises `asyncio.InvalidStateError` if already done."""
        self._finish(result)

    def _finish(self, result: Any) -> None:
        self._check_made()
        if self._done:
            raise asyncio.InvalidStateError(f"{self._state}: {self!r}")
        self._result = result
        self._done = True
        self._wake_all()

    def set_exception(self, exception: BaseException | type[BaseException]) -> None:
        """Set an exception, or a class to make one of, and wake whoever waits.

        Raises `asyncio.InvalidStateError` if already done.  `StopIteration` cannot travel through ``await``:
        up to Python 3.11.7 and 3.12.1 it is refused with `TypeError`, later it is wrapped in a `RuntimeError`, as
        asyncio does.
        """
        self._fail(exception)

    def _fail(self, exception: Any) -> None:
        self._check_made()
        if self._done:
            raise asyncio.InvalidStateError(f"{self._state}: {self!r}")
        if isinstance(exception, type):
            exception = exception()
        if isinstance(exception, StopIteration):
            exception = _transportable(exception)
        self._exception = exception
        self._exception_tb = exception.__traceback__
        self._done = True
        self._wake_all()
        self._unretrieved = True

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the future and wake whoever waits.  False if it was done already."""
        self._unretrieved = False
        return self._abandon(msg)

    def _abandon(self, msg: Any) -> bool:
        self._check_made()
        if self._done:
            return False
        self._done = True
        self._cancelled = True
        self._cancel_message = msg
        self._wake_all()
        return True

    def _make_cancelled_error(self) -> BaseException:
        error = self._cancelled_exc
        if error is not None:
            # Handed out once: a second one would share the first one's traceback.
            self._cancelled_exc = None
            return error
        if self._cancel_message is None:
            return asyncio.CancelledError()
        return asyncio.CancelledError(self._cancel_message)

    def outcome_to_raise(self) -> BaseException | None:
        """What awaiting this future, which is done, is to raise in the task that it wakes."""
        if self._cancelled:
            return self._make_cancelled_error()
        self._unretrieved = False
        if self._exception is None:
            return None
        return self._exception.with_traceback(self._exception_tb)

    # -- Who waits

    def add_done_callback(self, fn: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Call *fn* with the future, through `call_soon`, once it is done; at once if it is done already.

        *fn* runs in *context*, by default a copy of the current one.
        """
        self._check_made()
        if self._done:
            self._loop.call_soon(fn, self, context=context)
            return
        self._add_waiter(fn, copy_context() if context is None else context)

    def _add_waiter(self, waiter: Any, context: Context | None) -> None:
        if self._first is None and self._more is None:
            self._first = waiter
            self._first_context = context
        elif self._more is None:
            self._more = [(waiter, context)]
        else:
            self._more.append((waiter, context))

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        """Remove every callback that equals *fn*; returns how many there were."""
        self._check_made()
        waiting = self._waiting()
        # Comparing runs the users' code, which may add a callback or finish the future meanwhile.
        kept = [(waiter, context) for waiter, context in waiting if context is None or waiter != fn]
        removed = len(waiting) - len(kept)
        if removed and not self._done:
            added = self._waiting()[len(waiting) :]
            self._first = None
            self._first_context = None
            self._more = None
            for waiter, context in kept + added:
                self._add_waiter(waiter, context)
        return removed

    def _wake_all(self) -> None:
        first = self._first
        if first is None:
            return
        more = self._more
        context = self._first_context
        self._first = None
        self._first_context = None
        self._more = None
        self._wake(first, context)
        if more is not None:
            for first, context in more:
                self._wake(first, context)

    def _wake(self, waiter: Any, context: Context | None) -> None:
        scheduler = self._scheduler
        if scheduler is None:
            self._loop.call_soon(waiter, self, context=context)
        elif context is not None:
            if scheduler._debug:
                scheduler._check_thread()
            scheduler.enqueue(waiter, (self,), context)
        else:
            if scheduler._closed:
                scheduler._check_closed()
            if scheduler._debug:
                scheduler._check_thread()
            scheduler._queue.push(waiter)

    # -- await

    def __await__(self) -> FutureIterator:
        return _iterate(self)

    def __iter__(self) -> FutureIterator:
        return _iterate(self)

    def __repr__(self) -> str:
        return _repr(self)


class Watcher(Runnable):
    """What a future of ours runs when it is done: a callback without a handle, arguments and a context.

    It is attached to one future by `watch` and cannot be taken back; it runs in the turn after the future is done, in
    its place among the callbacks.
    """

    __slots__ = ("_watched",)

    def _init_watcher(self, future: Future) -> None:
        self.publishes = False
        self._watched = future

    def waiting_task(self) -> Any:
        """The task that waits for the future through this, or None."""
        return None

    def _wakeup(self) -> None:
        """Stands for the callback where somebody looks at those of the future."""

    def get_context(self) -> Context | None:
        """No context: nothing of the user's runs."""
        return None


def watch(future: Future, watcher: Watcher) -> None:
    """Run *watcher* when *future*, of a loop of ours, is done."""
    watcher._init_watcher(future)
    if not future._done:
        future._add_waiter(watcher, None)
    elif future._scheduler is not None:
        future._scheduler._queue.push(watcher)


class FutureIterator(Iteration):
    """What ``await future`` drives: yields the future once if it is pending, then gives its outcome.

    It has no ``throw``: the interpreter then raises an exception that is thrown into the task right at the ``await``,
    with no frame of ours in the traceback.
    """

    __slots__ = ("_future", "_yielded")

    _future: Future | None
    _yielded: bool

    def advance(self) -> Any:
        future = self._future
        if future is None:
            self._result = None
            return None
        if not future._done:
            if self._yielded:
                raise RuntimeError("await wasn't used with future")
            self._yielded = True
            future._asyncio_future_blocking = True
            return future
        self._future = None
        try:
            self._result = future._take_outcome()
        finally:
            # The traceback holds this frame, and would hold the future: a cycle.
            future = None
        return None


def _iterate(future: Future) -> FutureIterator:
    iterator = FutureIterator.__new__(FutureIterator)
    iterator._future = future
    iterator._yielded = False
    return iterator  # type: ignore[no-any-return]


def _begin(awaited: Any) -> Any:
    """The iterator for ``await``: the future itself for the one who nearly always is the only one to await it."""
    future: Future = awaited
    if future._iterated != _NOBODY:
        return _iterate(future)
    future._iterated = _FIRST
    return future


def _resume(iterator: Any) -> Any:
    """`FutureIterator.advance`, for the future that is an iterator itself."""
    future: Future = iterator
    if not future._done:
        if future._iterated == _YIELDED:
            raise RuntimeError("await wasn't used with future")
        future._iterated = _YIELDED
        future._asyncio_future_blocking = True
        return future
    future._iterated = _NOBODY
    result = future._take_outcome()
    if result is future:
        # Not to be taken for one that waits.
        raise StopIteration(result)
    return result


iterate_itself(Future, _begin, _resume)


def add_to_awaited_by(future: Any, waiter: Any) -> None:
    """`asyncio.future_add_to_awaited_by` for futures of ours, and for those that a task of ours awaits."""
    if not isinstance(future, Future):
        asyncio_private.add_foreign_to_awaited_by(future, waiter, isinstance(waiter, Future))
    elif isinstance(waiter, Future) or isinstance(waiter, asyncio.Future):  # noqa: SIM101 - the first is quick
        ours = future
        if ours._awaited_by is None:
            ours._awaited_by = waiter
        else:
            ours._awaited_by = _several(ours._awaited_by) | {waiter}


def _several(waiters: Any) -> frozenset[Any]:
    if type(waiters) is frozenset:
        return waiters
    return frozenset() if waiters is None else frozenset((waiters,))


def discard_from_awaited_by(future: Any, waiter: Any) -> None:
    """`asyncio.future_discard_from_awaited_by`, the counterpart of `add_to_awaited_by`."""
    if not isinstance(future, Future):
        asyncio_private.discard_foreign_from_awaited_by(future, waiter, isinstance(waiter, Future))
        return
    ours = future
    if ours._awaited_by is waiter:
        ours._awaited_by = None
    elif ours._awaited_by is not None:
        ours._awaited_by = _several(ours._awaited_by) - {waiter}


asyncio_private.replace_awaited_by(add_to_awaited_by, discard_from_awaited_by)


def _transportable(stop: StopIteration) -> BaseException:
    if _REFUSE_STOP_ITERATION:
        raise TypeError("StopIteration interacts badly with generators and cannot be raised into a Future")
    error = RuntimeError("StopIteration interacts badly with generators and cannot be raised into a Future")
    error.__cause__ = stop
    error.__context__ = stop
    return error


@reprlib.recursive_repr()
def _repr(future: Any) -> str:
    return f"<{type(future).__name__} {' '.join(asyncio_private.future_repr_info(future))}>"


if not cython.compiled:
    # C attributes have a value from the start, and asyncio's classes can be asked before __init__ was called.
    Future._asyncio_future_blocking = False
    Future._iterated = _NOBODY
    Future._loop = None
    Future._scheduler = None
    Future._done = False
    Future._cancelled = False
    Future._unretrieved = False
    Future._result = None
    Future._exception = None
    Future._exception_tb = None
    Future._cancel_message = None
    Future._cancelled_exc = None
    Future._first = None
    Future._first_context = None
    Future._more = None
    Future._awaited_by = None
    Future._source_traceback = None

keep_spare(Future, 1024)
keep_spare(FutureIterator, 1024)
