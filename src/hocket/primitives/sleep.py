"""`sleep`: a turn of the loop, or a timer that wakes the task."""

from __future__ import annotations

from typing import Any

from hocket.core.engine import Engine
from hocket.core.handles import TimerHandle
from hocket.core.wait import Wait
from hocket.core.wakeups import NO_CONTEXT
from hocket.native.freelist import keep_spare
from hocket.native.operation import Pause
from hocket.primitives import coroutines

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.engine import record_timer
    from hocket.native.freelist import track
    from hocket.primitives.bound import running, timer_engine


def sleep(delay: float, result: Any = None) -> Any:
    """``await sleep(delay)`` suspends the task for *delay* seconds and gives *result*.  As `asyncio.sleep`.

    With a delay of 0 or less the task only lets everybody else have a turn.  The time counts from the ``await``.
    Raises `ValueError` if *delay* is not a number (NaN).  Cancelling the task takes the timer back::

        await hocket.sleep(0.1)
    """
    if delay <= 0:
        return Pause() if result is None else coroutines.pause(result)
    if delay != delay:
        raise ValueError("Invalid delay: NaN (not a number)")
    return _sleeping(delay, result)


def _sleeping(delay: float, result: Any) -> Sleep:
    timer = SleepTimer.__new__(SleepTimer)
    timer._due = delay
    operation = Sleep.__new__(Sleep)
    operation._owner = timer
    operation._item = result
    return operation  # type: ignore[no-any-return]


class Sleep(Wait):
    """`sleep` for a time.  ``_owner`` is the timer; before it is set its ``_due`` is the delay."""

    __slots__ = ()

    _name = "sleep"

    def _begin(self) -> Any:
        timer: SleepTimer = self._owner
        loop = running()
        engine = timer_engine(loop)
        if engine is not None:
            timer._set(engine, self)
        else:
            self._owner = loop.call_later(timer._due, _wake, self)
        return self._suspend(loop)

    def _resume(self) -> Any:
        self._check_woken()
        self._owner = None
        self._result = self._item
        return None

    def _interrupt(self, error: BaseException) -> Any:
        timer = self._owner
        self._owner = None
        timer.cancel()
        raise error


class SleepTimer(TimerHandle):
    """What wakes a `Sleep`, without a callback."""

    __slots__ = ("_sleep",)

    _sleep: Sleep | None

    def _set(self, engine: Engine, sleep: Sleep) -> None:
        when = engine._now() + self._due
        if not cython.compiled:
            self._init_timer(when, None, (), engine, NO_CONTEXT, False)
        # Nothing else of a handle is looked at: it has nothing to call.  Outside of the heap and of the ready ring it
        # holds nothing, so that the collector need not see it as long as the loop runs.
        if engine._thread_id is None:
            track(self)
        self._due = when
        self._index = -1
        self._sleep = sleep
        engine._timers.push(self)
        if engine._queue.ring is not None:
            record_timer(engine, self, when)

    def run(self) -> None:
        sleep = self._sleep
        self._sleep = None
        if sleep is not None and not sleep._is_done():
            sleep._wake()

    def cancel(self) -> None:
        """Take the timer back."""
        self._sleep = None
        if self._heap is not None:
            self._heap.remove(self)
        self._cancelled = True


def _wake(sleep: Sleep) -> None:
    if not sleep._is_done():
        sleep._wake()


# It begins untracked: the scheduler tracks it when it has to.
keep_spare(SleepTimer, 1024, tracked=False)
