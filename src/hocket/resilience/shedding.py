"""`LoadShedder`: refuse some calls when the loop itself cannot keep up.

A loop that has more to run than it can makes everybody wait, until whoever asked has gone.  What is ready then waits
longer and longer before it runs: a queue like any other, and this policy manages it like one, by PIE (RFC 8033).  The
share of calls that is refused follows from how late the loop is, and from whether that grows, so that it settles where
the loop is just as late as is acceptable.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from hocket.core.wait import Wait
from hocket.resilience.errors import Overloaded
from hocket.resilience.loop_delay import DelaySource, LoopDelay
from hocket.resilience.matters import Importance, current_importance
from hocket.resilience.policy import Guard
from hocket.structured import checks
from hocket.structured.randomness import randomness

if TYPE_CHECKING:
    from hocket.resilience.statistics import ShedderStatistics

# RFC 8033 4.2, for delays in seconds, with the interval that suits a loop.
_ALPHA, _BETA = 0.125, 1.25
_INTERVAL = 0.015


class LoadShedder(Guard):
    """Refuses as large a share of calls as keeps the loop from being more than *target* seconds late.

    How late that is, *delay* says: a function that gives seconds, by default the time for which what is ready on this
    loop waits before it runs.  Up to *burst* seconds of lateness in a row are borne before anything is refused.  Calls
    of less `importance` are refused first: critical ones only when all sheddable ones are.

    Put it in front of everything a service does for one request, before any work on it::

        @LoadShedder(target=0.05)
        async def handle(request): ...

    Refused calls raise `hocket.resilience.Overloaded`.  As decorator, ``async with``, and stage.  Decisions:
    ``shedding`` (number: the share) when it begins, ``ceased`` when it ends, ``refused``.
    """

    def __init__(
        self,
        *,
        target: float = 0.05,
        burst: float = 0.15,
        delay: DelaySource | None = None,
        random: random.Random | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.target = checks.seconds("LoadShedder", "target", target, zero=False)
        self.burst = checks.seconds("LoadShedder", "burst", burst)
        if delay is not None and not callable(delay):
            raise TypeError(f"LoadShedder: delay is a function that gives seconds, got {delay!r}")
        self._delay: DelaySource = LoopDelay() if delay is None else delay
        self._random = random
        self._share = 0.0
        self._last = 0.0
        self._looked = -1.0
        self._patience = self.burst
        self._admitted_calls = 0
        self._refused = 0

    def statistics(self) -> ShedderStatistics:
        """What it refuses now, and has done so far."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.ShedderStatistics(self._share, self._last, self._admitted_calls, self._refused)

    def _admit(self, now: float) -> Any:
        elapsed = now - self._looked
        if elapsed >= _INTERVAL or elapsed < 0:
            self._look(now, elapsed)
        if self._share > 0.0 and self._patience <= 0.0:
            self._perhaps_refuse(now)
        self._admitted_calls += 1
        return None

    def _admitted(self, wait: Wait, now: float) -> Any:
        return None

    def _look(self, now: float, elapsed: float) -> None:
        """Adjust the share: once for each interval that has passed, as PIE would have."""
        first = self._looked < 0 or elapsed < 0
        self._looked = now
        delay = self._delay()
        if first:
            self._last = delay
            return
        before = self._share
        change = _ALPHA * (delay - self.target) + _BETA * (delay - self._last)
        # Small steps while the share is small, or it would swing (RFC 8033 5.1); never more than two per cent at once.
        scale = 1.0
        limit = 0.1
        while scale > 1 / 2048 and before < limit:
            scale /= 2.0 if scale == 1.0 else 4.0
            limit /= 10.0
        change *= scale
        if change > 0.02 and before >= 0.1:
            change = 0.02
        share = before + change
        if delay > 0.25:
            share += 0.02
        if delay < 1e-9 and self._last < 1e-9:
            share *= 0.98 ** min(elapsed / _INTERVAL, 400.0)
        self._share = min(max(share, 0.0), 1.0)
        if self._share < 1e-4:
            self._share = 0.0
        if self._share == 0.0 and delay < self.target / 2 and self._last < self.target / 2:
            self._patience = self.burst
        elif delay > self.target:
            self._patience -= min(elapsed, self.burst)
        self._last = delay
        if before == 0.0 and self._share > 0.0:
            self._tell("shedding", now, None, delay, self._share)
        elif before > 0.0 and self._share == 0.0:
            self._tell("ceased", now, None, delay)

    def _perhaps_refuse(self, now: float) -> None:
        level = current_importance()
        share = self._share
        if level is Importance.SHEDDABLE:
            share = 2.0 * share
        elif level is Importance.CRITICAL:
            share = 2.0 * share - 1.0
        generator = randomness() if self._random is None else self._random
        if share > 0.0 and generator.random() < share:
            self._refused += 1
            self._tell("refused", now, None, self._last, share)
            raise Overloaded(
                f"{self.name}: this loop is {self._last * 1000:.0f} ms late", policy=self, retry_after=self.burst
            )
