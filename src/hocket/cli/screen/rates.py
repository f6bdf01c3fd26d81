"""What happened between two looks at a loop: what it counts from its beginning on, made into rates."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

#: How many looks a chart goes back.
_HISTORY = 240


@dataclass(frozen=True)
class Rates:
    """Of one loop, in the time between two looks.  Times are in seconds, the others in times a second."""

    utilization: float
    turns: float
    steps: float
    callbacks: float
    ready_delay: float
    lag: float
    longest: float


class History:
    """The rates of one loop, as they went."""

    def __init__(self) -> None:
        self._last: tuple[float, dict[str, Any]] | None = None
        self.rates: deque[Rates] = deque(maxlen=_HISTORY)

    def add(self, time: float, loop: dict[str, Any]) -> None:
        """Note what the loop was like at *time*."""
        if self._last is not None and time > self._last[0]:
            self.rates.append(between(self._last[1], loop, time - self._last[0]))
        self._last = time, loop


def between(before: dict[str, Any], after: dict[str, Any], seconds: float) -> Rates:
    """What happened in these *seconds*."""
    # What runs at this moment is accounted when it ends.
    active = after["active"] - before["active"] + after["running_for"] - before["running_for"]
    idle = after["idle"] - before["idle"]
    whole = active + idle
    return Rates(
        utilization=min(max(active / whole, 0.0), 1.0) if whole > 0 else 0.0,
        turns=(after["turns"] - before["turns"]) / seconds,
        steps=(after["steps"] - before["steps"]) / seconds,
        callbacks=(after["callbacks"] - before["callbacks"]) / seconds,
        ready_delay=quantile(difference(before["ready_delays"], after["ready_delays"]), 0.99),
        lag=quantile(difference(before["lags"], after["lags"]), 0.99),
        longest=max(quantile(difference(before["step_times"], after["step_times"]), 1.0), after["running_for"]),
    )


Counts = dict[tuple[float, float], int]


def counts_of(histogram: dict[str, Any]) -> Counts:
    """How often which lengths of time came: from, to, and how often."""
    bounds = histogram["bounds"]
    return {(bounds[index], bounds[index + 1]): count for index, count in enumerate(histogram["counts"]) if count}


def difference(before: dict[str, Any], after: dict[str, Any]) -> Counts:
    """What *after* has counted and *before* has not.

    How fast the clock of the counts goes is known the better the longer it runs, so the bounds of one bucket may differ
    a little; those of its neighbours are a seventh away at least.
    """
    earlier = counts_of(before).items()
    result = {}
    for (low, high), count in counts_of(after).items():
        more = count - sum(had for (bound, _), had in earlier if abs(bound - low) <= 0.03 * low)
        if more > 0:
            result[low, high] = more
    return result


def quantile(counts: Counts, q: float) -> float:
    """What a share *q* did not exceed; 0.0 if none came."""
    wanted = q * sum(counts.values())
    seen = 0
    for (_, high), count in sorted(counts.items()):
        seen += count
        if seen >= wanted:
            return high
    return 0.0
