"""What the loops of a process have done, as monitoring systems want to have it: sums that never go down.

Loops come and go.  So the sums here go by places: a loop takes the first that is free, and the sums of the one that had
it, and has closed, are the ground on which its own are built.  A program that calls `asyncio.run` a thousand times has
one series, not a thousand that each begin with zero.

Histograms are told with bounds in seconds that are the same on every machine.  What the engine counts is finer, so a
length of time within an eighth of a bound may be counted on the other side of it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hocket.core import scheduler
from hocket.core.statistics import LoopState, LoopStatistics
from hocket.native.measure import BUCKETS, lower_bound, ticks_per_second
from hocket.observe.blockage import Blockage
from hocket.observe.report import total
from hocket.observe.watchdog import Watchdog

#: The upper bounds of histograms, in seconds.
BOUNDS = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

# The histograms of a loop, and how many of their units a second has; None: ticks.
_HISTOGRAMS = {"step_times": None, "ready_delays": None, "polls": None, "lags": 1e9}


@dataclass(frozen=True, slots=True)
class Distribution:
    """How often which lengths of time came: ``counts[i]`` of them up to ``bounds[i]``, and the last without limit."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def since(self, before: Distribution | None) -> Distribution:
        """What came since it was *before*."""
        if before is None:
            return self
        counts = tuple(now - then for now, then in zip(self.counts, before.counts, strict=True))
        return Distribution(self.bounds, counts, self.sum - before.sum)


@dataclass(frozen=True, slots=True)
class Reading:
    """What all loops that have had the place ``place`` have done, and what the one that has it now has before it.

    ``done.busy`` and ``done.idle`` are with what goes on at this moment; ``utilization`` is the share of them that was
    busy since the reading before this one.  ``state`` is None if no loop has the place now.  ``running``, ``ready`` and
    ``waiting`` are how many tasks do so.  ``blocked`` is what the watchdog has found, by its causes.
    """

    place: int
    done: LoopStatistics
    state: LoopState | None
    running: int
    ready: int
    waiting: int
    utilization: float
    step_times: Distribution
    ready_delays: Distribution
    polls: Distribution
    lags: Distribution
    blocked: Mapping[str, Distribution]


class _Sums:
    """What one loop, or several one after another, have counted, in the units in which they count."""

    def __init__(self, done: LoopStatistics, counts: dict[str, list[int]], sums: dict[str, int]) -> None:
        self.done = done
        self.counts = counts
        self.sums = sums

    @classmethod
    def of(cls, loop: Any) -> _Sums:
        histograms = {name: getattr(loop, name) for name in _HISTOGRAMS}
        return cls(
            loop.statistics(),
            {name: histogram.counts() for name, histogram in histograms.items()},
            {name: histogram.sum for name, histogram in histograms.items()},
        )

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            total([self.done, other.done]),
            {name: [a + b for a, b in zip(self.counts[name], other.counts[name], strict=True)] for name in self.counts},
            {name: self.sums[name] + other.sums[name] for name in self.sums},
        )


class _Place:
    """What is known of one place: the sums of the loops that had it, and of the one that has it."""

    def __init__(self) -> None:
        self.before: _Sums | None = None
        self.last: _Sums | None = None
        # The number of the loop that has it; 0: none has.
        self.loop = 0
        # What was told last: what goes on is read a moment after what is over, and must not make the sum smaller.
        self.busy = 0.0
        self.idle = 0.0
        # By cause: how often each bucket, and how long in all.
        self.blocked: dict[str, tuple[list[int], float]] = {}

    def fold(self) -> None:
        """The loop that had it has closed."""
        if self.last is not None:
            self.before = self.last if self.before is None else self.before + self.last
        self.last = None
        self.loop = 0

    def sums(self) -> _Sums:
        if self.last is None:
            assert self.before is not None
            return self.before
        return self.last if self.before is None else self.before + self.last


class Readings:
    """Reads the loops of this process, from the moment on at which it is made.

    Each has a `utilization` of its own: who reads for two purposes makes two of them.
    """

    def __init__(self, bounds: Sequence[float] = BOUNDS, watchdog: Watchdog | None = None) -> None:
        """*bounds* are the upper bounds of the histograms, in seconds, rising.  Raises `ValueError` for others.

        *watchdog* is who tells what blocks the loops; None: nobody does.
        """
        self.bounds = tuple(map(float, bounds))
        if not self.bounds or any(a >= b for a, b in itertools.pairwise(self.bounds)) or self.bounds[0] <= 0.0:
            raise ValueError(f"expected rising bounds above 0, in seconds, got {bounds!r}")
        # The collector may close a loop in the middle of a reading.
        self._lock = threading.RLock()
        self._places: dict[int, _Place] = {}
        self._process = os.getpid()
        # How many ticks a second has is known better from day to day; with another figure each time, sums that do not
        # change would seem to.
        self._rate = 0.0
        self._buckets: dict[str, list[int]] = {}
        scheduler.on_close.append(self._closed)
        self._watchdog = watchdog
        if watchdog is not None:
            watchdog.listeners.append(self._was_blocked)

    def close(self) -> None:
        """Read no more.  Harmless if called twice."""
        if self._closed in scheduler.on_close:
            scheduler.on_close.remove(self._closed)
        if self._watchdog is not None:
            with contextlib.suppress(ValueError):  # The watchdog removes a listener that fails.
                self._watchdog.listeners.remove(self._was_blocked)
            self._watchdog = None

    def read(self) -> list[Reading]:
        """One for each place that a loop has or had.  For any thread."""
        self._notice_fork()
        with self._lock:
            self._prepare()
            states = {self._note(loop): _state(loop) for loop in scheduler.loops()}
            return [self._reading(place, *states.get(place, (None, 0, 0, 0))) for place in sorted(self._places)]

    def _closed(self, loop: Any) -> None:
        self._notice_fork()
        with self._lock:
            self._places[self._note(loop)].fold()

    def _was_blocked(self, blockage: Blockage) -> None:
        if not blockage.over:
            return
        self._notice_fork()
        with self._lock:
            self._prepare()
            for loop in scheduler.loops():
                self._note(loop)
            found = [place for place in self._places.values() if place.loop == blockage.loop]
            # Of a loop that has closed meanwhile nobody knows which place it had.
            place = found[0] if found else self._places.get(1)
            if place is None:
                return
            counts, seconds = place.blocked.get(blockage.cause, ([0] * (len(self.bounds) + 1), 0.0))
            counts[bisect_left(self.bounds, blockage.seconds)] += 1
            place.blocked[blockage.cause] = (counts, seconds + blockage.seconds)

    def _note(self, loop: Any) -> int:
        """Read *loop*; returns its place, which is the first that was free when it was seen first."""
        taken = {place.loop: index for index, place in self._places.items() if place.loop}
        index = taken.get(loop._number, 0)
        if not index:
            index = next(index for index in itertools.count(1) if index not in taken.values())
            self._places.setdefault(index, _Place()).loop = loop._number
        self._places[index].last = _Sums.of(loop)
        return index

    def _notice_fork(self) -> None:
        if self._process != os.getpid():
            # What the parent's loops did is for the parent to tell; and a thread of its may have had the lock.
            self._process = os.getpid()
            self._lock = threading.RLock()
            self._places = {}

    def _prepare(self) -> None:
        if not self._rate:
            self._rate = ticks_per_second()
            self._buckets = {name: self._buckets_at(rate or self._rate) for name, rate in _HISTOGRAMS.items()}

    def _buckets_at(self, rate: float) -> list[int]:
        """For each bucket of the engine's, the one of ours in which it is counted."""
        middles = [(lower_bound(index) + lower_bound(min(index + 1, BUCKETS - 1))) / 2 for index in range(BUCKETS)]
        return [bisect_left(self.bounds, middle / rate) for middle in middles]

    def _reading(self, index: int, state: LoopState | None, running: int, ready: int, waiting: int) -> Reading:
        place = self._places[index]
        sums = place.sums()
        busy, idle = sums.sums["step_times"] / self._rate, sums.sums["polls"] / self._rate
        if state is not None:
            busy += state.running_for
            idle += state.waiting_for
        busy, idle = max(busy, place.busy), max(idle, place.idle)
        more_busy, more_idle = busy - place.busy, idle - place.idle
        place.busy, place.idle = busy, idle
        return Reading(
            index,
            replace(sums.done, busy=busy, idle=idle),
            state,
            running,
            ready,
            waiting,
            more_busy / (more_busy + more_idle) if more_busy + more_idle else 0.0,
            **{name: self._distribution(name, sums) for name in _HISTOGRAMS},
            blocked={
                cause: Distribution(self.bounds, tuple(counts), seconds)
                for cause, (counts, seconds) in place.blocked.items()
            },
        )

    def _distribution(self, name: str, sums: _Sums) -> Distribution:
        counts = [0] * (len(self.bounds) + 1)
        for bucket, count in zip(self._buckets[name], sums.counts[name], strict=True):
            counts[bucket] += count
        return Distribution(self.bounds, tuple(counts), sums.sums[name] / (_HISTOGRAMS[name] or self._rate))


def _state(loop: Any) -> tuple[LoopState, int, int, int]:
    """What *loop* has before it; and how many of its tasks run, are ready, and wait."""
    state: LoopState = loop.state()
    running = int(getattr(state.running, "publishes", False))
    ready = sum(1 for item in loop._ready.snapshot() if item is not None and item.publishes)
    return state, running, ready, max(state.tasks - running - ready, 0)
