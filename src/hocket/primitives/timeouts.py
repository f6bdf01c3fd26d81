"""`timeout` and `timeout_at`, as in `asyncio.timeouts`: a block of code that is cancelled when its time is over."""

from __future__ import annotations

import asyncio
import enum
from types import TracebackType
from typing import Any

from hocket.core.engine import Engine
from hocket.core.handles import TimerHandle
from hocket.core.task import Task
from hocket.core.wakeups import NO_CONTEXT
from hocket.native.freelist import keep_spare
from hocket.native.operation import Operation

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.operation import given
    from hocket.primitives.bound import current_task, running, timer_engine


class _State(enum.Enum):
    CREATED = "created"
    ENTERED = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    EXITED = "finished"


_CREATED = _State.CREATED
_ENTERED = _State.ENTERED
_EXPIRING = _State.EXPIRING
_EXPIRED = _State.EXPIRED
_EXITED = _State.EXITED


class Timeout:
    """A block with a deadline; made by `timeout` or `timeout_at`.  Semantics of `asyncio.Timeout`."""

    def __init__(self, when: float | None) -> None:
        self._init_timeout(when)

    def _init_timeout(self, when: float | None) -> None:
        self._state = _CREATED
        self._timeout_handler: Any = None
        self._task: Any = None
        self._when = when
        self._cancelling = 0

    def when(self) -> float | None:
        """The deadline in seconds of the loop's time, or None."""
        return self._when

    def reschedule(self, when: float | None) -> None:
        """Move the deadline; None: there is none any more.

        `RuntimeError` outside of the block, and once it has expired.
        """
        if self._state is not _ENTERED:
            if self._state is _CREATED:
                raise RuntimeError("Timeout has not been entered")
            raise RuntimeError(f"Cannot change state of {self._state.value} Timeout")
        self._schedule(running(), when)

    def expired(self) -> bool:
        """True if the deadline passed before the block ended."""
        return self._state is _EXPIRING or self._state is _EXPIRED

    def __repr__(self) -> str:
        when = ""
        if self._state is _ENTERED:
            when = f" when={round(self._when, 3) if self._when is not None else None}"
        return f"<Timeout [{self._state.value}]{when}>"

    def __aenter__(self) -> Any:
        return _entering(self)

    def _enter(self) -> None:
        if self._state is not _CREATED:
            raise RuntimeError("Timeout has already been entered")
        loop = running()
        task = current_task(loop)
        if task is None:
            raise RuntimeError("Timeout should be used inside a task")
        self._state = _ENTERED
        self._task = task
        if type(task) is Task:
            ours = task
            self._cancelling = ours._num_cancels_requested
        else:
            self._cancelling = task.cancelling()
        if self._when is not None:
            self._schedule(loop, self._when)

    def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        if self._timeout_handler is not None:
            self._unschedule()
        if self._state is _ENTERED:
            self._state = _EXITED
        elif self._state is _EXPIRING:
            self._state = _EXPIRED
            # Only if nobody else has asked for a cancellation is it ours to turn into a TimeoutError.
            if self._task.uncancel() <= self._cancelling and kind is not None:
                if issubclass(kind, asyncio.CancelledError):
                    raise TimeoutError from error
                if error is not None:
                    _insert_timeout_error(error)
                    if isinstance(error, ExceptionGroup):
                        for inner in error.exceptions:
                            _insert_timeout_error(inner)
        return given(None)

    def _schedule(self, loop: Any, when: float | None) -> None:
        self._when = when
        if self._timeout_handler is not None:
            self._unschedule()
        if when is None:
            return
        engine = timer_engine(loop)
        if engine is None:
            if when <= loop.time():
                self._timeout_handler = loop.call_soon(self._on_timeout)
            else:
                self._timeout_handler = loop.call_at(when, self._on_timeout)
            return
        timer = TimeoutTimer.__new__(TimeoutTimer)
        if not cython.compiled:
            timer._init_timer(when, None, (), engine, NO_CONTEXT, False)
        # Nothing else of a handle is looked at: it has nothing to call.
        timer._loop = engine
        timer._due = when
        timer._index = -1
        timer._timeout = self
        self._timeout_handler = timer
        if timer._due <= engine._now():
            engine._queue.push(timer)
        else:
            engine._timers.push(timer)

    def _unschedule(self) -> None:
        timer = self._timeout_handler
        self._timeout_handler = None
        if type(timer) is TimeoutTimer:
            ours = timer
            ours._take_back()
        else:
            timer.cancel()

    def _on_timeout(self) -> None:
        self._timeout_handler = None
        self._task.cancel()
        self._state = _EXPIRING


class EnterTimeout(Operation):
    """`Timeout.__aenter__`."""

    __slots__ = ()

    _name = "Timeout.__aenter__"

    def _begin(self) -> Any:
        timeout: Timeout = self._owner
        timeout._enter()
        self._result = timeout
        return None


def _entering(timeout: Timeout) -> EnterTimeout:
    operation = EnterTimeout.__new__(EnterTimeout)
    operation._owner = timeout
    return operation  # type: ignore[no-any-return]


class TimeoutTimer(TimerHandle):
    """What ends a `Timeout`, without a callback."""

    __slots__ = ("_timeout",)

    _timeout: Timeout | None

    def run(self) -> None:
        timeout = self._timeout
        self._timeout = None
        if timeout is not None:
            timeout._on_timeout()

    def cancel(self) -> None:
        """Take the timer back."""
        self._take_back()

    def _take_back(self) -> None:
        self._timeout = None
        if self._heap is not None:
            self._heap.remove(self)
        self._cancelled = True


def _insert_timeout_error(error: BaseException) -> None:
    """Where a cancellation is what *error* came from, put a `TimeoutError` in between."""
    while error.__context__ is not None:
        if isinstance(error.__context__, asyncio.CancelledError):
            timeout_error = TimeoutError()
            timeout_error.__context__ = timeout_error.__cause__ = error.__context__
            error.__context__ = timeout_error
            break
        error = error.__context__


def timeout(delay: float | None) -> Timeout:
    """Cancel the block of an ``async with`` after *delay* seconds and raise `TimeoutError` from it.

    None: no deadline, until `Timeout.reschedule` sets one.  A block that is over in time is not touched; a cancellation
    from elsewhere stays a cancellation.  As `asyncio.timeout`.  Raises `RuntimeError` without a running loop::

        async with hocket.timeout(10):
            await fetch(url)
    """
    loop = running()
    if delay is None:
        return Timeout(None)
    if isinstance(loop, Engine):
        engine = loop
        made = Timeout.__new__(Timeout)
        made._init_timeout(engine._now() + delay)
        return made
    return Timeout(loop.time() + delay)


def timeout_at(when: float | None) -> Timeout:
    """As `timeout`, with the loop time at which the block is to be cancelled."""
    return Timeout(when)


keep_spare(TimeoutTimer, 1024)
