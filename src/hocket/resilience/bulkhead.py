"""`Bulkhead`: at most so many calls at once, and so many that wait; the others are refused.

A slow dependency fills whatever may be filled: connections, memory, tasks.  A bulkhead in front of each dependency
keeps one that has become slow from taking the whole service with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hocket.core.wait import Line, Wait
from hocket.resilience.errors import BulkheadFull
from hocket.resilience.policy import Guard
from hocket.structured import checks

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.resilience.policy import now_here

if TYPE_CHECKING:
    from hocket.resilience.statistics import BulkheadStatistics


class Bulkhead(Guard):
    """At most *limit* calls at once; up to *waiting* others wait for a place, first come, first served.

    Whoever comes when both are full is refused at once with `hocket.resilience.BulkheadFull`: a line that grows
    without end is an outage that has not been noticed yet.  A wait ends with the deadline that holds for it;
    cancelling it leaves the place to the next::

        database = Bulkhead(20, waiting=100)

        async with database:
            ...

    As decorator, ``async with``, and stage.  Decisions: ``waiting`` (number: how many wait), ``refused``.
    """

    def __init__(self, limit: int, *, waiting: int = 0, name: str | None = None) -> None:
        super().__init__(name)
        self.limit = checks.positive_int("Bulkhead", "limit", limit)
        self.waiting = checks.positive_int("Bulkhead", "waiting", waiting, 0)
        self._line = Line()
        self._taken = 0
        self._most = 0
        self._admitted_calls = 0
        self._refused = 0

    def statistics(self) -> BulkheadStatistics:
        """Who is inside, who waits, and what it has done so far."""
        from hocket.primitives.statistics import of_line
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.BulkheadStatistics(
            self.limit, self._taken, self._most, self._admitted_calls, self._refused, of_line(self._line)
        )

    def _admit(self, now: float) -> Any:
        # While somebody waits, no place is free: it is his as soon as it is given back.
        if self._taken < self.limit:
            self._take()
            return None
        return _entering(self)

    def _leave(self, note: Any, now: float, error: BaseException | None) -> BaseException | None:
        self._release()
        return None

    def _take(self) -> None:
        self._taken += 1
        self._admitted_calls += 1
        if self._taken > self._most:
            self._most = self._taken

    def _release(self) -> None:
        """Give a place back; whoever is first in line has it already when he is woken."""
        self._taken -= 1
        wait = self._line._first
        while wait is not None:
            if not wait._is_done():
                wait._wake()
                self._line.leave(wait)
                self._take()
                return
            wait = wait._behind

    def _how_many_wait(self) -> int:
        count = 0
        wait = self._line._first
        while wait is not None:
            if not wait._is_done():
                count += 1
            wait = wait._behind
        return count

    def _queue(self, wait: Wait) -> Any:
        if self._line._count >= self.waiting and self._how_many_wait() >= self.waiting:
            self._refused += 1
            self._tell("refused", now_here())
            waiting = f" and {self.waiting} wait" if self.waiting else ""
            raise BulkheadFull(f"{self.name} is full: {self._taken} calls are under way{waiting}", policy=self)
        awaited = self._stand_in(self._line, wait)
        self._tell("waiting", now_here(), None, None, self._line._count)
        return awaited

    def _left(self, wait: Wait) -> None:
        self._line.leave(wait)
        if wait._woken:
            # It had its place already and will not take it.
            self._admitted_calls -= 1
            self._release()


class EnterBulkhead(Wait):
    """The wait for a place in a `Bulkhead`."""

    __slots__ = ()

    _name = "Bulkhead.__aenter__"

    def _begin(self) -> Any:
        bulkhead: Bulkhead = self._owner
        return bulkhead._queue(self)

    def _resume(self) -> Any:
        bulkhead: Bulkhead = self._owner
        self._check_woken()
        bulkhead._line.leave(self)
        return None

    def _interrupt(self, error: BaseException) -> Any:
        bulkhead: Bulkhead = self._owner
        bulkhead._left(self)
        raise error


def _entering(bulkhead: Bulkhead) -> EnterBulkhead:
    operation = EnterBulkhead.__new__(EnterBulkhead)
    operation._owner = bulkhead
    return operation  # type: ignore[no-any-return]
