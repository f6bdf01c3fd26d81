"""`Timeout`: a call has so many seconds, and then it is cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hocket.core.cancellation import Interruptible
from hocket.core.scope import CancelScope
from hocket.core.wait import Wait
from hocket.resilience.policy import Guard
from hocket.structured import checks

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.scheduler import running_task
    from hocket.structured.scopes import _failing

if TYPE_CHECKING:
    from hocket.resilience.statistics import TimeoutStatistics


class Timeout(Guard):
    """Cancels a call after *seconds*, and raises the builtin `TimeoutError` in its place.

    It is `hocket.fail_after` as a policy: a deadline within the deadlines around it, level-triggered, which retries,
    limiters and calls below it know of and keep.  Around a `hocket.resilience.Retry` it bounds the whole, inside each
    attempt; most services want both.  Raises `ValueError` unless *seconds* is more than 0 and finite::

        upstream = Pipeline(Timeout(2.0), Retry(attempts=3), Timeout(0.5))

    As decorator, ``async with``, and stage; on hocket's loop and in its tasks only, as scopes.  Decision: ``expired``.
    """

    def __init__(self, seconds: float, *, name: str | None = None) -> None:
        super().__init__(name)
        self.seconds = checks.seconds("Timeout", "seconds", seconds, zero=False)
        self._calls = 0
        self._expired = 0

    def statistics(self) -> TimeoutStatistics:
        """How often it was too slow."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.TimeoutStatistics(self._calls, self._expired)

    def _admit(self, now: float) -> Any:
        scope = _failing(now + self.seconds, False, self.seconds)
        task = running_task()
        if isinstance(task, Interruptible):
            scope._enter(task)
        else:
            scope.__enter__()  # which says why not
        self._calls += 1
        return scope

    def _admitted(self, wait: Wait, now: float) -> Any:
        return None

    def _leave(self, note: Any, now: float, error: BaseException | None) -> BaseException | None:
        scope: CancelScope = note
        host: Any = scope._host
        try:
            scope._exit(host, error)
        except TimeoutError as expired:
            self._expired += 1
            self._tell("expired", now, expired, self.seconds)
            return expired
        return None
