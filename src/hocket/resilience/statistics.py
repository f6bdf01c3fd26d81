"""What the policies tell of themselves when they are asked: frozen objects that say what was so at one moment.

Times are in seconds.  Counts go from the beginning, unless it says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hocket.primitives.statistics import LineStatistics


@dataclass(frozen=True, slots=True)
class RetryBudgetStatistics:
    """A `RetryBudget`: what it holds now, and what it has given and refused so far."""

    balance: float
    calls: int
    spent: int
    refused: int


@dataclass(frozen=True, slots=True)
class BreakerStatistics:
    """A `CircuitBreaker`.

    ``calls``, ``failures`` and ``slow`` are those of the window; ``admitted`` and ``refused`` count from the beginning,
    ``opened`` how often it has opened.  ``opens_again_in`` are the seconds until it lets a probe in, if it is open.
    """

    state: str
    calls: int
    failures: int
    slow: int
    admitted: int
    refused: int
    opened: int
    probing: int
    opens_again_in: float | None


@dataclass(frozen=True, slots=True)
class RateStatistics:
    """A `RateLimiter` or a `LeakyBucket`: how many calls could be made now, and what it has done so far."""

    available: float
    admitted: int
    delayed: int
    refused: int
    waiting: LineStatistics


@dataclass(frozen=True, slots=True)
class BulkheadStatistics:
    """A `Bulkhead`: how many calls are inside, how many were at most, and what it has done so far."""

    limit: int
    inside: int
    most: int
    admitted: int
    refused: int
    waiting: LineStatistics


@dataclass(frozen=True, slots=True)
class TimeoutStatistics:
    """A `Timeout`: how many calls there were, and how many of them were too slow."""

    calls: int
    expired: int


@dataclass(frozen=True, slots=True)
class RetryStatistics:
    """A `Retry`.  ``calls`` were made through it, with ``attempts`` in all.

    ``recovered`` calls failed and succeeded in the end.  ``gave_up`` failed for good after a retry would have been
    allowed by their exception: ``exhausted`` of them for want of attempts, ``too_late`` because of a deadline, and
    ``over_budget``.  ``waited`` is the sum of all delays in seconds.
    """

    calls: int
    attempts: int
    recovered: int
    gave_up: int
    exhausted: int
    too_late: int
    over_budget: int
    waited: float
    budget: RetryBudgetStatistics | None


@dataclass(frozen=True, slots=True)
class HedgeStatistics:
    """A `Hedge`: ``calls`` were made through it, with ``attempts`` in all; ``hedged`` had more than one, and in ``won``
    of them a later one was the first to answer.  ``over_budget`` would have been hedged.  ``delay`` is the present one.
    """

    calls: int
    attempts: int
    hedged: int
    won: int
    over_budget: int
    delay: float | None
    budget: RetryBudgetStatistics | None


@dataclass(frozen=True, slots=True)
class FallbackStatistics:
    """A `Fallback`: how many calls there were, and how often it answered in their place."""

    calls: int
    used: int


@dataclass(frozen=True, slots=True)
class AdaptiveStatistics:
    """An `AdaptiveLimit`.

    ``baseline`` is how many seconds a call takes without a queue, and ``throughput`` how many a second end, as far as
    is known; ``probes`` is how often the baseline was looked for.
    """

    limit: int
    inside: int
    baseline: float | None
    throughput: float
    admitted: int
    refused: int
    dropped: int
    probes: int


@dataclass(frozen=True, slots=True)
class ShedderStatistics:
    """A `LoadShedder`: the share of normal calls that it refuses now, the delay that it has seen last in seconds, and
    what it has done so far."""

    share: float
    delay: float
    admitted: int
    refused: int


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """A `Pool`: of its *size* places, how many resources are ``idle``, ``out`` and ``making``; how many wait for one,
    and did so at once at most.

    So far: ``made`` and ``closed`` resources, of these ``expired`` by age or idleness, ``unhealthy`` by a check, and
    ``broken`` by what happened to whoever had them; ``leases`` in all, and ``refused`` ones.
    """

    size: int
    idle: int
    out: int
    making: int
    waiting: int
    most_waiting: int
    made: int
    closed: int
    expired: int
    unhealthy: int
    broken: int
    leases: int
    refused: int


@dataclass(frozen=True, slots=True)
class ChaosStatistics:
    """A policy that injects faults: how many calls there were, and in how many it did so."""

    calls: int
    injected: int


@dataclass(frozen=True, slots=True)
class PipelineStatistics:
    """A `Pipeline`: the statistics of its stages, by their names, the outermost first."""

    stages: tuple[tuple[str, Any], ...]
