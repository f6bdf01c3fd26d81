"""What `call_soon` and `call_later` give back: a callback, its arguments, its context, and the right to cancel.

Both classes pass for asyncio's own (``isinstance(h, asyncio.Handle)`` holds through ``__class__``) and log what
asyncio logs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from functools import partial
from threading import Event, get_ident
from typing import TYPE_CHECKING, Any

from hocket.core import asyncio_private
from hocket.core.ready import Runnable
from hocket.native.freelist import keep_spare

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.freelist import track
    from hocket.native.ring import CALL, FROM_THREAD, SOON, TIMED
    from hocket.native.step import attempt, copy_context, copy_of

if TYPE_CHECKING:
    from traceback import StackSummary

    from hocket.native.ring import Ring


class Handle(Runnable):
    """A callback that waits for its turn.

    ``_callback`` and ``_args`` are None once the handle is cancelled; ``_repr`` keeps what they were if it was made in
    debug mode.
    """

    __slots__ = (
        "__weakref__",
        "_args",
        "_callback",
        "_cancelled",
        "_context",
        "_debug",
        "_loop",
        "_repr",
        "_source_traceback",
    )

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: Any, context: Context | None = None
    ) -> None:
        self._init_handle(callback, args, loop, context, loop.get_debug())
        track(self)

    def _init_handle(
        self,
        callback: Callable[..., object] | None,
        args: tuple[Any, ...],
        loop: Any,
        context: Context | None,
        debug: bool,
    ) -> None:
        self._callback = callback
        self._args: tuple[Any, ...] | None = args
        self._loop = loop
        self._context: Context = copy_context() if context is None else context
        self._debug = debug
        if not cython.compiled:
            # A C attribute is None, False or 0 from the start.
            self.publishes = False
            self._cancelled = False
            self._repr: str | None = None
            self._source_traceback: StackSummary | None = None
        if debug:
            self._source_traceback = asyncio_private.creation_stack()

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return asyncio.Handle if type(self) is Handle or type(self) is TimerHandle else type(self)

    def cancel(self) -> None:
        """Make sure that the callback will not run.  Safe to call twice, and after it has run."""
        self._drop()

    def _drop(self) -> None:
        if self._cancelled:
            return
        self._cancelled = True
        if self._debug:
            self._repr = repr(self)
        self._callback = None
        self._args = None

    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._cancelled

    def get_context(self) -> Context:
        """The context that the callback runs in."""
        return self._context

    def _run(self) -> None:
        self.run()

    def run(self) -> None:
        # Taken once: another thread may cancel between two looks.
        callback = self._callback
        args = self._args
        if self._cancelled or callback is None or args is None:
            return
        error = attempt(callback, args, self._context)
        if error is None:
            if not cython.compiled:
                # A traceback that the callback keeps may reach this frame, which would hold the callback: a cycle.
                self = callback = args = None  # type: ignore[assignment]
            return
        cause = error.__context__
        try:
            # Handled while it is reported: what fails in doing so is said to have happened on top of it.
            raise error
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            error.__context__ = cause
            self._report(error, callback, args)
        finally:
            # The traceback holds this frame, and would hold the callback, which may hold the exception: a cycle.
            self = callback = args = error = cause = None  # type: ignore[assignment]

    def record(self, ring: Ring, loop: int, since: int, started: int, ended: int) -> None:
        self._record(ring, SOON, loop, since, started, ended)

    def _record(self, ring: Ring, detail: int, loop: int, since: int, started: int, ended: int) -> None:
        callback: Any = self._callback
        if type(callback) is partial:
            callback = callback.func
        called = self if callback is None else callback
        ring.note(CALL, detail, loop, ring.function(called), started, ended, ring.owner(called), since, 0)

    def _report(self, error: BaseException, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        # Whoever gets the report may keep the handle.
        track(self)
        described = asyncio_private.format_callback(callback, args, self._loop.get_debug())
        context = {"message": f"Exception in callback {described}", "exception": error, "handle": self}
        if self._source_traceback:
            context["source_traceback"] = self._source_traceback
        self._loop.call_exception_handler(context)

    def _repr_info(self) -> list[str]:
        info = [self.__class__.__name__]
        if self._cancelled:
            info.append("cancelled")
        if self._callback is not None:
            info.append(asyncio_private.format_callback(self._callback, self._args, self._loop.get_debug()))
        if self._source_traceback:
            frame = self._source_traceback[len(self._source_traceback) - 1]
            info.append(f"created at {frame.filename}:{frame.lineno}")
        return info

    def __repr__(self) -> str:
        if self._repr is not None:
            return self._repr
        return f"<{' '.join(self._repr_info())}>"


class ThreadSafeHandle(Handle):
    """What `call_soon_threadsafe` gives back: it may be cancelled from any thread.

    `cancel` waits for a callback that is running, so that it has either not begun or is over when `cancel` returns.
    """

    __slots__ = ("_over", "_running", "_shares_context")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: Any, context: Context | None = None
    ) -> None:
        self._init_threadsafe(callback, args, loop, context, loop.get_debug(), False)
        track(self)

    def _init_threadsafe(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: Any,
        context: Context | None,
        debug: bool,
        shared: bool,
    ) -> None:
        self._init_handle(callback, args, loop, context, debug)
        # Whether others hold ``_context``, too, as what is to be copied before it is entered or given away.
        self._shares_context = shared
        if cython.compiled:
            return
        self._running = False
        # Who waits for the end of a run puts an event here, and looks once more whether it is running; who has run
        # says that it is not, and looks here.  With the interpreter's lock that needs no other.
        self._over: Event | None = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return asyncio_private.ThreadSafeHandle if type(self) is ThreadSafeHandle else type(self)

    def _unshare(self) -> None:
        self._shares_context = False
        self._context = copy_of(self._context)

    def get_context(self) -> Context:
        if self._shares_context:
            self._unshare()
        return self._context

    def cancel(self) -> None:
        self._let_it_end()
        self._drop()

    def cancelled(self) -> bool:
        self._let_it_end()
        return self._cancelled

    def record(self, ring: Ring, loop: int, since: int, started: int, ended: int) -> None:
        self._record(ring, FROM_THREAD, loop, since, started, ended)

    def run(self) -> None:
        if self._shares_context:
            self._unshare()
        self._running = True
        try:
            Handle.run(self)
        finally:
            self._running = False
            if self._over is not None:
                self._over.set()

    def _let_it_end(self) -> None:
        # A callback may ask about its own handle.
        if not self._running or get_ident() == self._loop._thread_id:
            return
        over = self._over
        if over is None:
            over = self._over = Event()
        if self._running:
            over.wait()


class ForeignHandle(Runnable):
    """One run of a handle of asyncio's own class, which inherited code (signal handlers, for one) schedules."""

    __slots__ = ("_handle",)

    def __init__(self, handle: asyncio.Handle) -> None:
        self.publishes = False
        self._handle = handle

    def run(self) -> None:
        if not self._handle.cancelled():
            self._handle._run()

    def record(self, ring: Ring, loop: int, since: int, started: int, ended: int) -> None:
        called: Any = self._handle if self._handle._callback is None else self._handle._callback  # type: ignore[attr-defined]
        ring.note(CALL, SOON, loop, ring.function(called), started, ended, ring.owner(called), since, 0)

    def __repr__(self) -> str:
        return repr(self._handle)


class TimerStore:
    """What a timer stands in, and leaves when it is cancelled."""

    __slots__ = ()

    def remove(self, timer: TimerHandle) -> None:
        """Take *timer* out, wherever it stands."""
        raise NotImplementedError(f"{type(self).__name__} must define remove()")


class TimerHandle(Handle):
    """A callback that waits for a time.

    ``_index`` is its place in the timer heap and -1 outside of it; ``_order`` keeps timers of one instant in the order
    in which they were set.
    """

    __slots__ = ("_due", "_heap", "_index", "_order", "_whole")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: Any,
        context: Context | None = None,
    ) -> None:
        self._init_timer(when, callback, args, loop, context, loop.get_debug())

    def _init_timer(
        self,
        when: float,
        callback: Callable[..., object] | None,
        args: tuple[Any, ...],
        loop: Any,
        context: Context | None,
        debug: bool,
    ) -> None:
        self._init_handle(callback, args, loop, context, debug)
        self._due = when
        self._whole = False
        self._order = 0
        self._index = -1
        self._heap: TimerStore | None = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return asyncio.TimerHandle if type(self) is TimerHandle else type(self)

    @property
    def _scheduled(self) -> bool:
        return self._index >= 0

    def when(self) -> float:
        """The loop time, in seconds, at which the callback is due; an `int` if that is what the loop was given."""
        return self._when

    @property
    def _when(self) -> float:
        # Where asyncio's handle has it, and some tools look.
        return int(self._due) if self._whole else self._due

    def cancel(self) -> None:
        """Make sure that the callback will not run, and take the timer out of the heap at once."""
        self._take_back()

    def _take_back(self) -> None:
        if self._heap is not None:
            self._heap.remove(self)
        self._drop()

    def record(self, ring: Ring, loop: int, since: int, started: int, ended: int) -> None:
        self._record(ring, TIMED, loop, since, started, ended)

    def _repr_info(self) -> list[str]:
        info = Handle._repr_info(self)
        info.insert(2 if self._cancelled else 1, f"when={self._when}")
        return info

    def __hash__(self) -> int:
        return hash(self._due)

    def __eq__(self, other: object) -> bool:
        if not _is_timer(other):
            return NotImplemented
        it: Any = other
        return bool(
            self._due == it._when
            and self._callback == it._callback
            and self._args == it._args
            and self._cancelled == it._cancelled
        )

    def __lt__(self, other: Any) -> bool:
        return self._due < other._when if _is_timer(other) else NotImplemented

    def __gt__(self, other: Any) -> bool:
        return self._due > other._when if _is_timer(other) else NotImplemented

    def __le__(self, other: Any) -> bool:
        return self._due < other._when or self == other if _is_timer(other) else NotImplemented

    def __ge__(self, other: Any) -> bool:
        return self._due > other._when or self == other if _is_timer(other) else NotImplemented


def _is_timer(other: object) -> bool:
    return isinstance(other, asyncio.TimerHandle)


# A handle begins untracked: the scheduler tracks it when it has to.
keep_spare(Handle, 1024, tracked=False)
# Another thread adds what it can in the 5 milliseconds that the interpreter leaves to it, and then all of that runs.
keep_spare(ThreadSafeHandle, 16384, tracked=False)
keep_spare(TimerHandle, 1024)
