"""`Condition`, as in `asyncio.locks`: tasks that hold a lock wait for others to say that something has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hocket.core.wait import Line, Wait
from hocket.primitives import coroutines
from hocket.primitives.bound import LoopBound
from hocket.primitives.locks import Lock

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.primitives.bound import wait_undisturbed
    from hocket.primitives.locks import shown

if TYPE_CHECKING:
    from hocket.primitives.statistics import ConditionStatistics


class Condition(LoopBound):
    """A lock, and a queue of tasks that wait to be notified.  Semantics of `asyncio.Condition`.

    *lock* is the `Lock` to use, by default one of its own.  A wait may end without need: look again::

        async with condition:
            await condition.wait_for(lambda: items)
    """

    def __init__(self, lock: Any = None) -> None:
        self._loop = None
        self._lock: Any = Lock() if lock is None else lock
        self._own = type(self._lock) is Lock
        self._waiters = Line()

    def __repr__(self) -> str:
        return shown(self, "locked" if self.locked() else "unlocked", self._waiters)

    def locked(self) -> bool:
        """True while somebody holds the lock."""
        return bool(self._lock.locked())

    def statistics(self) -> ConditionStatistics:
        """Who holds the lock, who waits for it, and who waits to be notified."""
        from hocket.primitives import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_condition(self)

    def acquire(self) -> Any:
        """`Lock.acquire` of the lock."""
        return self._lock.acquire()

    def release(self) -> None:
        """`Lock.release` of the lock."""
        self._lock.release()

    def __aenter__(self) -> Any:
        return self._lock.__aenter__() if type(self) is Condition else coroutines.enter(self)

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        if type(self) is Condition:
            return self._lock.__aexit__(kind, error, traceback)
        return coroutines.leave(self)

    def wait(self) -> Any:
        """``await condition.wait()`` gives the lock away, waits for `notify`, takes the lock again and gives True.

        `RuntimeError` if nobody holds the lock.  A cancellation, too, is raised with the lock held.
        """
        if not self._own or type(self) is not Condition:
            return coroutines.wait_notified(self)
        return _waiting(self)

    def wait_for(self, predicate: Callable[[], Any]) -> Any:
        """``await condition.wait_for(predicate)`` waits until *predicate* gives something true, which is the result."""
        return coroutines.wait_until(self, predicate)

    def notify(self, n: int = 1) -> None:
        """Wake *n* of the tasks that wait; they go on when they have the lock again.

        `RuntimeError` if nobody holds the lock.
        """
        if not self.locked():
            raise RuntimeError("cannot notify on un-acquired lock")
        self._notify(n)

    def notify_all(self) -> None:
        """Wake all tasks that wait.  `RuntimeError` if nobody holds the lock."""
        self.notify(len(self._waiters))

    def _notify(self, n: int) -> None:
        if n <= 0:
            return
        wait = self._waiters._first
        while wait is not None:
            if not wait._is_done():
                wait._wake()
                n -= 1
                if n <= 0:
                    break
            wait = wait._behind

    def _notice(self) -> Wait:
        """``await condition._notice()`` waits to be notified, and nothing else."""
        return _new_notice(self)


class Notice(Wait):
    """`Condition._notice`."""

    __slots__ = ()

    _name = "Condition.wait"

    def _begin(self) -> Any:
        condition: Condition = self._owner
        return condition._queue_up(condition._waiters, self)

    def _resume(self) -> Any:
        condition: Condition = self._owner
        self._check_woken()
        condition._waiters.leave(self)
        return None

    def _interrupt(self, error: BaseException) -> Any:
        condition: Condition = self._owner
        condition._waiters.leave(self)
        raise error


class WaitForNotice(Wait):
    """`Condition.wait`.

    It waits twice: to be notified, and then for the lock (``_quiet``).  ``_item`` is what interrupted it, to be raised
    when it has the lock again.
    """

    __slots__ = ()

    _name = "Condition.wait"

    def _begin(self) -> Any:
        condition: Condition = self._owner
        lock: Lock = condition._lock
        if not lock._locked:
            raise RuntimeError("cannot wait on un-acquired lock")
        self._item = None
        self._quiet = False
        condition._queue_up(condition._waiters, self)
        lock._release()
        return self

    def _resume(self) -> Any:
        condition: Condition = self._owner
        self._check_woken()
        if not self._quiet:
            condition._waiters.leave(self)
            return self._relock()
        lock: Lock = condition._lock
        lock._waiters.leave(self)
        lock._take()
        return self._end()

    def _interrupt(self, error: BaseException) -> Any:
        condition: Condition = self._owner
        if not self._quiet:
            condition._waiters.leave(self)
        else:
            lock: Lock = condition._lock
            lock._left(self, error)
            if not isinstance(error, asyncio.CancelledError):
                condition._notify(1)
                raise error
        self._item = error
        return self._relock()

    def _relock(self) -> Any:
        condition: Condition = self._owner
        lock: Lock = condition._lock
        if lock._is_free():
            lock._take()
            return self._end()
        self._quiet = True
        if self._item is not None:
            wait_undisturbed()
        return lock._queue_up(lock._waiters, self)

    def _end(self) -> Any:
        condition: Condition = self._owner
        error = self._item
        if error is None:
            self._result = True
            return None
        self._item = None
        # Whoever notified us did so in vain, perhaps: let another have it.
        condition._notify(1)
        raise error


def _waiting(condition: Condition) -> WaitForNotice:
    operation = WaitForNotice.__new__(WaitForNotice)
    operation._owner = condition
    return operation  # type: ignore[no-any-return]


def _new_notice(condition: Condition) -> Notice:
    operation = Notice.__new__(Notice)
    operation._owner = condition
    return operation  # type: ignore[no-any-return]
