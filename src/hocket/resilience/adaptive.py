"""`AdaptiveLimit`: as many calls at once as what they go to can bear, found out by itself.

A fixed limit is right for one state of the world.  When the dependency turns slow, the same number of calls is a queue
in front of it, and soon every call waits longer than its caller does: all work is done, and none in time.

What can be under way without a queue is, by Little's law, throughput times the time of a call that has not queued.
Throughput is easy to see.  The time without a queue is not: a longer time may come from a queue, or from slower work,
and the answers are opposite.  So when calls take clearly longer than they used to, the limit is halved, again and
again, as long as that makes them proportionally faster: those calls had only queued.  Once it does not, the time that
was measured is the time of the work itself, and the limit becomes the product, and a fifth more: a short queue keeps
everybody busy.  That is BBR's model (Cardwell et al., 2016) with its probe for the minimum.  In between the limit
grows by a tenth in each window in which it was reached and calls were about as fast as without a queue, as in TCP
Vegas, and shrinks by a tenth while they are somewhat slower; one that is not reached does not grow, as in Netflix'
concurrency-limits.

Times of calls scatter, so one mean is not taken for another unless their standard errors say so.

A window that saw many calls time out, or the loop itself late, takes a tenth off the limit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hocket.core.wait import Wait
from hocket.resilience.errors import Overloaded, Refused
from hocket.resilience.loop_delay import DelaySource, LoopDelay
from hocket.resilience.policy import Guard
from hocket.structured import checks

if TYPE_CHECKING:
    from hocket.resilience.statistics import AdaptiveStatistics

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from math import sqrt

# How many calls a window needs to have seen; and how many a probe lets in at a time and waits for (three times the
# limit, within these bounds), at most how often.
_ENOUGH = 10
_LEAST_BATCH = 8
_GREATEST_BATCH = 25
_BATCHES = 3
# So many slow windows in a row are too many for a queue that a smaller limit would shorten; and so many if calls take
# twice as long as that.
_TOO_SLOW = 6
_MUCH_TOO_SLOW = 2
# How much longer a call may take than without a queue.
_GAIN = 1.2
_GROWTH = 1.1
# A queue was halved if the time falls below this share of what it was.
_FELL = 0.62
# In a probe the standard error of the mean is to be at most this share of it.
_EXACT = 0.1
# A limit that is reached all the time looks for its baseline after so many windows in any case.
_PROBE_AFTER = 120
_SMOOTHING = 0.2
_CREEP = 0.01
_DECREASE = 0.9


class Admission:
    """What a call was let in with."""

    __slots__ = ("began", "epoch")

    began: float
    epoch: int


class AdaptiveLimit(Guard):
    """At most as many calls at once as can be under way without a queue; the others are refused at once.

    The limit begins at *initial*, stays between *least* and *most*, and is looked at after every *window* seconds, if
    there were enough calls.  Calls that take *tolerance* times as long as those that have not queued are taken for a
    sign of a queue.  A call that raises one of *overload* (a class or a tuple), or is cancelled when it has taken that
    long, was one too many.  So is a loop on which what is ready waits for more than *target_delay* seconds before it
    runs; None: never mind.  *delay* gives that delay; by default it is the loop's own.

    In front of a service, around the handlers; or in front of a dependency, around the calls::

        limit = AdaptiveLimit(initial=20, most=500)

        @limit
        async def handle(request): ...

    Refused calls raise `hocket.resilience.Overloaded`.  As decorator, ``async with``, and stage.  Decisions:
    ``limited`` (number: the new limit), ``probed`` (seconds: the baseline), ``refused``.
    """

    def __init__(
        self,
        *,
        initial: int = 20,
        least: int = 1,
        most: int = 1000,
        window: float = 0.5,
        tolerance: float = 1.5,
        overload: type[Exception] | tuple[type[Exception], ...] = (TimeoutError, Refused),
        target_delay: float | None = 0.05,
        delay: DelaySource | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        owner = "AdaptiveLimit"
        self.least = checks.positive_int(owner, "least", least)
        self.most = checks.positive_int(owner, "most", most)
        initial = checks.positive_int(owner, "initial", initial)
        if not self.least <= initial <= self.most:
            raise ValueError(f"{owner}: expected least <= initial <= most, got {least}, {initial} and {most}")
        self.window = checks.seconds(owner, "window", window, zero=False)
        self.tolerance = checks.real(owner, "tolerance", tolerance)
        if self.tolerance <= _GAIN:
            raise ValueError(f"{owner}: tolerance is more than {_GAIN:g}, which a short queue makes, got {tolerance!r}")
        self.overload = checks.errors(owner, "overload", overload)
        self.target_delay = None if target_delay is None else checks.seconds(owner, "target_delay", target_delay)
        if delay is not None and not callable(delay):
            raise TypeError(f"{owner}: delay is a function that gives seconds, got {delay!r}")
        self._delay: DelaySource = LoopDelay() if delay is None else delay
        self._limit = float(initial)
        self._inside = 0
        self._baseline = 0.0
        self._throughput = 0.0
        # In a probe only the calls that were let in during this epoch count.
        self._epoch = 0
        self._began = -1.0
        self._count = 0
        self._sum = 0.0
        self._squares = 0.0
        self._drops = 0
        self._ignored = 0
        self._peak = 0
        # How many windows in a row were slow, and how many there were since the last probe.
        self._slow_windows = 0
        self._windows = 0
        # In a probe: whether no more are inside than may be, how many calls are still to be let in and looked at, and
        # the how-manieth batch of what size that is; how long calls took one step before; and the limit and the
        # throughput that it began with.
        self._probing = False
        self._drained = False
        self._counted = 0
        self._to_admit = 0
        self._batch = 0
        self._size = 0
        self._before = 0.0
        self._restore = 0.0
        self._best = 0.0
        self._admitted_calls = 0
        self._refused = 0
        self._dropped = 0
        self._probes = 0

    @property
    def limit(self) -> int:
        """How many calls may be under way now."""
        return int(self._limit)

    def statistics(self) -> AdaptiveStatistics:
        """What it has found out, and done so far."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.AdaptiveStatistics(
            int(self._limit),
            self._inside,
            self._baseline or None,
            self._throughput,
            self._admitted_calls,
            self._refused,
            self._dropped,
            self._probes,
        )

    # -- The way of a call

    def _admit(self, now: float) -> Any:
        if self._inside >= int(self._limit):
            if self._inside > self._peak:
                self._peak = self._inside
            self._refuse(now)
        self._inside += 1
        self._admitted_calls += 1
        if self._inside > self._peak:
            self._peak = self._inside
        if self._began < 0 or now < self._began:
            # The first call; or the first on a loop with another clock.
            self._begin_window(now)
        admission = Admission.__new__(Admission)
        admission.began = now
        admission.epoch = self._epoch
        if self._to_admit > 0:
            self._to_admit -= 1
            if self._to_admit == 0:
                self._epoch += 1
        return admission

    def _admitted(self, wait: Wait, now: float) -> Any:
        return None

    def _leave(self, note: Any, now: float, error: BaseException | None) -> BaseException | None:
        admission: Admission = note
        self._inside -= 1
        took = now - admission.began
        if self._probing:
            if not self._drained:
                if self._inside <= self._limit:
                    self._begin_batches(now)
                return None
            if admission.epoch != self._counted:
                return None
        if error is None:
            self._count += 1
            self._sum += took
            self._squares += took * took
        elif isinstance(error, self.overload) or (
            isinstance(error, asyncio.CancelledError) and self._baseline > 0 and took > self.tolerance * self._baseline
        ):
            self._drops += 1
            self._dropped += 1
        else:
            self._ignored += 1
        if self._probing:
            if self._count + self._drops + self._ignored >= self._batch * self._size:
                self._end_batch(now)
        elif now - self._began >= self.window:
            self._look(now)
        return None

    def _refuse(self, now: float) -> None:
        self._refused += 1
        after = self._baseline if self._baseline > 0 else None
        self._tell("refused", now, None, after)
        raise Overloaded(
            f"{self.name}: {self._inside} calls are under way, and more would only queue",
            policy=self,
            retry_after=after,
        )

    # -- The limit

    def _begin_window(self, now: float) -> None:
        self._began = now
        self._count = 0
        self._sum = 0.0
        self._squares = 0.0
        self._drops = 0
        self._ignored = 0
        self._peak = self._inside

    def _look(self, now: float) -> None:
        """Judge the window, if it has seen enough."""
        elapsed = now - self._began
        seen = self._count + self._drops
        if seen < _ENOUGH:
            return
        before = int(self._limit)
        if self._drops * 10 > seen:
            self._decrease()
        else:
            self._judge(now, elapsed)
        if not self._probing:
            self._begin_window(now)
        if int(self._limit) != before:
            self._tell("limited", now, None, None, int(self._limit))

    def _judge(self, now: float, elapsed: float) -> None:
        """Judge a window in which most calls ended well."""
        took = self._sum / self._count
        error = self._error() / self._count
        self._throughput = self._count / elapsed
        saturated = self._peak >= int(self._limit)
        if self._baseline <= 0:
            self._baseline = took
        elif took + error < self._baseline or self._peak * 2 < self._limit:
            # Nobody queues for a limit that is half free: that is how long calls take now.
            self._baseline += _SMOOTHING * (took - self._baseline)
        if self.target_delay is not None and self._delay() > self.target_delay:
            self._decrease()
            return
        if not saturated:
            self._slow_windows = 0
            return
        self._windows += 1
        slow = self.tolerance * self._baseline
        self._slow_windows = self._slow_windows + 1 if took - error > slow else 0
        bearable = _MUCH_TOO_SLOW if took - error > 2.0 * slow else _TOO_SLOW
        if self._slow_windows >= bearable or self._windows >= _PROBE_AFTER:
            self._begin_probe(now, took, elapsed)
        elif self._slow_windows:
            self._decrease()
        elif took <= _GAIN * self._baseline:
            self._set_limit(max(self._limit * _GROWTH, self._limit + 1.0))
        else:
            # A short queue, or a baseline that is too low: the limit holds, and that is found out little by little.
            self._baseline += _CREEP * (took - self._baseline)

    def _error(self) -> float:
        """The standard error of the mean, times the count."""
        if self._count == 0:
            return 0.0
        spread = self._squares - self._sum * self._sum / self._count
        return sqrt(spread) if spread > 0 else 0.0

    def _decrease(self) -> None:
        self._set_limit(self._limit * _DECREASE)

    def _set_limit(self, limit: float) -> None:
        self._limit = max(float(self.least), min(float(self.most), limit))

    # -- The probe: how long does a call take that does not queue?

    def _begin_probe(self, now: float, took: float, elapsed: float) -> None:
        self._probing = True
        self._probes += 1
        self._slow_windows = 0
        self._windows = 0
        self._before = took
        self._best = self._count / elapsed
        self._restore = self._limit
        self._halve(now)

    def _halve(self, now: float) -> None:
        self._set_limit(self._limit * 0.5)
        self._drained = False
        if self._inside <= self._limit:
            self._begin_batches(now)

    def _begin_batches(self, now: float) -> None:
        """What has queued is gone: look at the calls that are let in from now on."""
        self._drained = True
        self._epoch += 1
        self._counted = self._epoch
        self._size = max(_LEAST_BATCH, min(_GREATEST_BATCH, 3 * int(self._limit)))
        self._to_admit = self._size
        self._batch = 1
        self._begin_window(now)

    def _end_batch(self, now: float) -> None:
        """All calls of a batch have ended; those that end first are the short ones, so fewer would not do."""
        if self._error() > _EXACT * self._sum and self._batch < _BATCHES:
            self._batch += 1
            self._epoch += 1
            self._counted = self._epoch
            self._to_admit = self._size
            return
        if self._count == 0:
            # Even so few of them are too many.
            self._end_probe(now, self._before, self._limit)
            return
        took = self._sum / self._count
        if took < _FELL * self._before and self._limit > self.least:
            self._before = took
            self._halve(now)
            return
        # If it has not become faster at all, both are times without a queue.
        baseline = took if took < 0.9 * self._before else 0.5 * (took + self._before)
        limit = _GAIN * self._best * baseline + 1.0
        self._end_probe(now, baseline, limit if limit < self._restore else self._restore)

    def _end_probe(self, now: float, baseline: float, limit: float) -> None:
        self._probing = False
        self._to_admit = 0
        self._baseline = baseline
        self._set_limit(limit)
        self._begin_window(now)
        self._tell("probed", now, None, baseline, int(self._limit))
