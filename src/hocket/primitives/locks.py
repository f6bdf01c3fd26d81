"""`Lock`, `Event`, `Semaphore` and `BoundedSemaphore`, as in `asyncio.locks`.

Who waits stands in ``_waiters``, a `hocket.core.wait.Line` in the order of arrival, and leaves it himself: a release
only wakes the one whose turn it is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hocket.core.wait import Line, Wait
from hocket.primitives import coroutines
from hocket.primitives.bound import LoopBound

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.operation import given
    from hocket.primitives.bound import number_here

if TYPE_CHECKING:
    from hocket.primitives.statistics import EventStatistics, LockStatistics, SemaphoreStatistics


class Lock(LoopBound):
    """Mutual exclusion among tasks; first come, first served.  Semantics of `asyncio.Lock`.

    Cancelling a task that waits for it leaves the lock to the next in the queue.  Not thread-safe::

        async with lock:
            ...
    """

    def __init__(self) -> None:
        self._loop = None
        self._waiters = Line()
        self._locked = False
        # The number of the task that holds it; 0: nobody does, or it is none of ours.
        self._holder = 0

    def __repr__(self) -> str:
        return shown(self, "locked" if self._locked else "unlocked", self._waiters)

    def locked(self) -> bool:
        """True while somebody holds it."""
        return self._locked

    def statistics(self) -> LockStatistics:
        """Who holds it, who waits, and how much has been waited for it."""
        from hocket.primitives import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_lock(self)

    def acquire(self) -> Wait:
        """``await lock.acquire()`` waits until the lock is free, takes it, and gives True."""
        return _acquire_lock(self, False)

    def release(self) -> None:
        """Free the lock and let the next in the queue have it.  `RuntimeError` if it is not taken."""
        self._release()

    def __aenter__(self) -> Any:
        if type(self) is not Lock:
            return coroutines.enter(self)
        return _acquire_lock(self, True)

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        if type(self) is not Lock:
            return coroutines.leave(self)
        self._release()
        return given(None)

    def _release(self) -> None:
        if not self._locked:
            raise RuntimeError("Lock is not acquired.")
        self._locked = False
        self._holder = 0
        self._wake_up_first()

    def _take(self) -> None:
        self._locked = True
        self._holder = number_here()

    def _is_free(self) -> bool:
        # Others came first, even if it is not their turn yet.
        return not self._locked and (self._waiters._first is None or not self._waiters.is_waiting())

    def _wake_up_first(self) -> None:
        first = self._waiters._first
        # One that is done already is about to run.
        if first is not None and not first._is_done():
            first._wake()

    def _left(self, wait: Wait, error: BaseException) -> None:
        """Take *wait*, whose task will not have the lock after all, out of the queue."""
        self._waiters.leave(wait)
        if isinstance(error, asyncio.CancelledError) and not self._locked:
            self._wake_up_first()


class AcquireLock(Wait):
    """`Lock.acquire`; gives None instead of True if ``_quiet``, for ``async with``."""

    __slots__ = ()

    _name = "Lock.acquire"

    def _begin(self) -> Any:
        lock: Lock = self._owner
        if not lock._is_free():
            return lock._queue_up(lock._waiters, self)
        lock._take()
        if not self._quiet:
            self._result = True
        return None

    def _resume(self) -> Any:
        lock: Lock = self._owner
        self._check_woken()
        lock._waiters.leave(self)
        lock._take()
        if not self._quiet:
            self._result = True
        return None

    def _interrupt(self, error: BaseException) -> Any:
        lock: Lock = self._owner
        lock._left(self, error)
        raise error


def _acquire_lock(lock: Lock, quiet: bool) -> AcquireLock:
    operation = AcquireLock.__new__(AcquireLock)
    operation._owner = lock
    operation._quiet = quiet
    return operation  # type: ignore[no-any-return]


class Event(LoopBound):
    """A flag that tasks can wait for.  Semantics of `asyncio.Event`.

    ready = hocket.Event()
    await ready.wait()
    """

    def __init__(self) -> None:
        self._loop = None
        self._waiters = Line()
        self._value = False

    def __repr__(self) -> str:
        return shown(self, "set" if self._value else "unset", self._waiters)

    def is_set(self) -> bool:
        """True if the flag is set."""
        return self._value

    def statistics(self) -> EventStatistics:
        """Who waits for it, and how much has been waited."""
        from hocket.primitives import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_event(self)

    def set(self) -> None:
        """Set the flag and wake everybody who waits for it."""
        if not self._value:
            self._set()

    def _set(self) -> None:
        self._value = True
        wait = self._waiters._first
        while wait is not None:
            if not wait._is_done():
                wait._wake()
            wait = wait._behind

    def clear(self) -> None:
        """Take the flag back: who waits from now on waits for the next `set`."""
        self._value = False

    def wait(self) -> Wait:
        """``await event.wait()`` waits until the flag is set, and gives True; at once if it is set already."""
        return _wait_for_event(self)


class WaitForEvent(Wait):
    """`Event.wait`."""

    __slots__ = ()

    _name = "Event.wait"

    def _begin(self) -> Any:
        event: Event = self._owner
        if event._value:
            self._result = True
            return None
        return event._queue_up(event._waiters, self)

    def _resume(self) -> Any:
        event: Event = self._owner
        self._check_woken()
        event._waiters.leave(self)
        self._result = True
        return None

    def _interrupt(self, error: BaseException) -> Any:
        event: Event = self._owner
        event._waiters.leave(self)
        raise error


def _wait_for_event(event: Event) -> WaitForEvent:
    operation = WaitForEvent.__new__(WaitForEvent)
    operation._owner = event
    return operation  # type: ignore[no-any-return]


class Semaphore(LoopBound):
    """At most *value* tasks at a time; first come, first served.  Semantics of `asyncio.Semaphore`.

    `ValueError` if *value* is negative.  Cancelling a task that waits passes its turn on::

        limit = hocket.Semaphore(10)
        async with limit:
            ...
    """

    def __init__(self, value: int = 1) -> None:
        if value < 0:
            raise ValueError("Semaphore initial value must be >= 0")
        self._loop = None
        self._waiters = Line()
        self._value = value

    def __repr__(self) -> str:
        return shown(self, "locked" if self.locked() else f"unlocked, value:{self._value}", self._waiters)

    def locked(self) -> bool:
        """True if `acquire` would have to wait."""
        return self._is_locked()

    def statistics(self) -> SemaphoreStatistics:
        """How many places are free, who waits, and how much has been waited for them."""
        from hocket.primitives import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_semaphore(self)

    def acquire(self) -> Wait:
        """``await semaphore.acquire()`` waits until there is room, takes one place, and gives True."""
        return _acquire_semaphore(self, False)

    def release(self) -> None:
        """Give one place back and let the next in the queue have it."""
        self._release()

    def __aenter__(self) -> Any:
        if type(self) is not Semaphore and type(self) is not BoundedSemaphore:
            return coroutines.enter(self)
        return _acquire_semaphore(self, True)

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        if type(self) is Semaphore:
            self._release()
        elif type(self) is BoundedSemaphore:
            self.release()
        else:
            return coroutines.leave(self)
        return given(None)

    def _is_locked(self) -> bool:
        # Others came first, even if it is not their turn yet.
        return self._value == 0 or (self._waiters._first is not None and self._waiters.is_waiting())

    def _release(self) -> None:
        self._value += 1
        self._wake_up_next()

    def _wake_up_next(self) -> bool:
        """Give one place to the first in the queue that has none yet; False if there is nobody."""
        if self._waiters._first is None or not self._waiters.wake_next():
            return False
        self._value -= 1
        return True

    def _share_out(self) -> None:
        """Whoever came meanwhile had to wait for the one that leaves the queue: as many as there is room for go on."""
        while self._value > 0 and self._wake_up_next():
            pass


class AcquireSemaphore(Wait):
    """`Semaphore.acquire`; gives None instead of True if ``_quiet``, for ``async with``."""

    __slots__ = ()

    _name = "Semaphore.acquire"

    def _begin(self) -> Any:
        semaphore: Semaphore = self._owner
        exact = type(semaphore) is Semaphore or type(semaphore) is BoundedSemaphore
        if semaphore._is_locked() if exact else semaphore.locked():
            return semaphore._queue_up(semaphore._waiters, self)
        semaphore._value -= 1
        if not self._quiet:
            self._result = True
        return None

    def _resume(self) -> Any:
        semaphore: Semaphore = self._owner
        self._check_woken()
        semaphore._waiters.leave(self)
        semaphore._share_out()
        if not self._quiet:
            self._result = True
        return None

    def _interrupt(self, error: BaseException) -> Any:
        semaphore: Semaphore = self._owner
        semaphore._waiters.leave(self)
        if isinstance(error, asyncio.CancelledError) and self._woken:
            # It had its place already and will not take it.
            semaphore._value += 1
        semaphore._share_out()
        raise error


def _acquire_semaphore(semaphore: Semaphore, quiet: bool) -> AcquireSemaphore:
    operation = AcquireSemaphore.__new__(AcquireSemaphore)
    operation._owner = semaphore
    operation._quiet = quiet
    return operation  # type: ignore[no-any-return]


class BoundedSemaphore(Semaphore):
    """A `Semaphore` that refuses to be released more often than it was acquired, with `ValueError`."""

    def __init__(self, value: int = 1) -> None:
        self._bound_value = value
        Semaphore.__init__(self, value)

    def release(self) -> None:
        """Give one place back.  `ValueError` if that would make more of them than there were in the beginning."""
        if self._value >= self._bound_value:
            raise ValueError("BoundedSemaphore released too many times")
        self._release()


def shown(primitive: Any, state: str, waiters: Any) -> str:
    if len(waiters):
        state = f"{state}, waiters:{len(waiters)}"
    return f"<{object.__repr__(primitive)[1:-1]} [{state}]>"
