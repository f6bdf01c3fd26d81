"""Who looks, many times a second, whether a step of a loop takes too long: from a thread of its own, and without a word
to the loop.

A step that takes longer than the threshold is told of twice, by `Sentinel.next`: while it lasts, and when it is over.
In between, samples of its thread say where the time goes; see ``evidence.py``.

Compiled, the sentinel needs no interpreter, and notices also who does not let go of it: a call into C, the garbage
collector, another thread.  Then nobody can be told who needs the interpreter, so it writes a line to standard error by
itself.  Uncompiled, such a step is noticed when it is over.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from typing import Any

from hocket.native.measure import BUCKETS, bucket_of, now_in_ticks, ticks_per_second
from hocket.native.threads import ThreadMeter, position_of_thread, stack_of_thread
from hocket.observe import evidence
from hocket.observe.sighting import Evidence, Sighting

_IDLE, _LOOKING, _TOLD = range(3)


class _Watched:
    """A loop that runs in a thread, and what is known of what it does at the moment."""

    def __init__(self, loop: Any, thread: int) -> None:
        self.loop = loop
        self.thread = thread
        self.meter = ThreadMeter(thread)
        self.collected = 0
        self.phase = _IDLE
        self.stamped = 0
        self.begun = 0
        self.looked = 0
        self.collected_then = 0
        self.position = 0
        self.usage = (0, 0, 0, "?")
        self.sighting: Sighting | None = None
        self.evidence = Evidence()
        self.long_steps = 0
        self.longest = 0.0


class Sentinel:
    """Looks after the loops that it is told to `watch`.

    *threshold* is how many seconds a step may take; *output* the descriptor to which it writes what nobody else can.
    `run` is to be called by a thread of its own, and `next` by another one.  Raises `ValueError` if *threshold* is not
    more than 0.
    """

    def __init__(self, threshold: float, output: int = 2) -> None:
        if not threshold > 0:
            raise ValueError(f"expected a threshold of more than 0 seconds, got {threshold!r}")
        self.threshold = threshold
        self.interval = min(max(threshold / 5, 0.001), 0.1)
        self._rate = ticks_per_second()
        self._limit = int(threshold * self._rate)
        self._watched: list[_Watched] = []
        self._news: deque[Sighting] = deque()
        self._changed = threading.Condition()
        self._halt = threading.Event()
        self._serial = 0
        self._collecting_since = 0
        self._collecting_thread = 0

    # -- Whom to watch

    def watch(self, loop: Any, thread: int) -> None:
        """Watch *loop*, which runs in *thread* (as of `threading.get_ident`) until it is forgotten."""
        self.forget(loop)
        watched = _Watched(loop, thread)
        watched.long_steps = self._long_steps(loop)
        watched.longest = loop.statistics().longest_step
        self._sample(watched, first=True)
        self._watched.append(watched)

    def forget(self, loop: Any) -> None:
        """Watch *loop* no more; what it did too long is over.  Does nothing if it is not watched."""
        for watched in list(self._watched):
            if watched.loop is loop:
                self._watched.remove(watched)
                self._finish(watched)
                self._look_back(watched)
                watched.meter.close()

    # -- The sentinel's thread

    def run(self) -> None:
        """Look until `stop` is called."""
        gc.callbacks.append(self._on_collection)
        try:
            while not self._halt.wait(self.interval):
                for watched in list(self._watched):
                    self._look(watched)
        finally:
            gc.callbacks.remove(self._on_collection)

    def stop(self) -> None:
        """End `run` and `next`."""
        self._halt.set()
        with self._changed:
            self._changed.notify_all()

    def _on_collection(self, phase: str, information: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_thread = threading.get_ident()
            self._collecting_since = time.monotonic_ns()
        elif self._collecting_since:
            for watched in self._watched:
                if watched.thread == self._collecting_thread:
                    watched.collected += time.monotonic_ns() - self._collecting_since
            self._collecting_since = 0

    def _look(self, watched: _Watched) -> None:
        loop = watched.loop
        stamp, stepping = loop._queue.now, loop._stepping
        if watched.phase != _IDLE and not (stepping and stamp == watched.stamped):
            self._finish(watched)
        if watched.phase == _IDLE:
            self._look_back(watched)
        if not stepping:
            self._sample(watched, first=True)
            return
        if watched.phase == _IDLE:
            watched.phase = _LOOKING
            watched.stamped = watched.begun = stamp
            watched.evidence = Evidence(limit=int(self.threshold * 1e9))
            # If it has taken too long by now, nobody else could run since the last look: it was in one call.
            too_long = now_in_ticks() - stamp >= self._limit
            self._sample(watched, first=not too_long, kept_out=too_long)
        else:
            self._sample(watched, first=False)
        if watched.phase == _LOOKING and now_in_ticks() - watched.begun >= self._limit:
            sighting = self._new(watched, loop._announced if loop._callback is None else None)
            if stamp == loop._queue.now and loop._stepping:
                watched.phase = _TOLD
                watched.sighting = sighting
                self._tell(sighting)

    def _new(self, watched: _Watched, item: Any) -> Sighting:
        self._serial += 1
        return Sighting(
            self._serial,
            watched.loop,
            watched.thread,
            over=False,
            outside=False,
            begun=watched.begun,
            ended=0,
            seconds=(now_in_ticks() - watched.begun) / self._rate,
            is_task=item is not None,
            task=getattr(item, "_number", 0),
            name=None if item is None else item.get_name(),
            spots=stack_of_thread(watched.thread),
            evidence=watched.evidence,
        )

    def _finish(self, watched: _Watched) -> None:
        sighting, watched.sighting = watched.sighting, None
        watched.phase = _IDLE
        if sighting is None:
            return
        # The stamp was made when the step ended, or not long after.
        stamp = watched.loop._queue.now
        ended = stamp if stamp > watched.begun else now_in_ticks()
        watched.long_steps = self._long_steps(watched.loop)
        watched.longest = watched.loop.statistics().longest_step
        self._tell(
            Sighting(
                sighting.serial,
                sighting.loop,
                sighting.thread,
                over=True,
                outside=False,
                begun=watched.begun,
                ended=ended,
                seconds=(ended - watched.begun) / self._rate,
                is_task=sighting.is_task,
                task=sighting.task,
                name=sighting.name,
                spots=sighting.spots,
                evidence=watched.evidence,
            )
        )

    def _look_back(self, watched: _Watched) -> None:
        """Tell of a step that was over before this thread could run."""
        count = self._long_steps(watched.loop)
        if count == watched.long_steps:
            return
        watched.long_steps = count
        done = watched.loop.statistics()
        known = done.longest_step > watched.longest
        watched.longest = done.longest_step
        watched.evidence = Evidence(limit=int(self.threshold * 1e9))
        self._sample(watched, first=False, kept_out=True)
        watched.begun = now_in_ticks() - int((done.longest_step if known else self.threshold) * self._rate)
        sighting = self._new(watched, None)
        sighting.over = True
        sighting.ended = now_in_ticks()
        sighting.spots = []
        if known:
            sighting.is_task = done.longest_step_where is not None
            sighting.name = done.longest_step_task
            sighting.spots = _spots(done.longest_step_where)
        self._tell(sighting)

    def _long_steps(self, loop: Any) -> int:
        """How many steps have been too long, to the precision of the histogram: never too many."""
        first = min(bucket_of(self._limit) + 1, BUCKETS - 1)
        return sum(loop.step_times.counts()[first:])

    def _sample(self, watched: _Watched, first: bool, kept_out: bool = False) -> None:
        """See where the time has gone since the last sample; *kept_out*: in which nobody else could run."""
        now = time.monotonic_ns()
        where = position_of_thread(watched.thread)
        usage = watched.meter.read()
        collected = watched.collected
        if self._collecting_since and watched.thread == self._collecting_thread:
            # What it calls, finalizers for one, is Python code, in which it may have given way to this thread.
            collected += max(now - self._collecting_since, 0)
        if not first:
            seen = watched.evidence
            whole = now - watched.looked
            computing = min(max(usage[0] - watched.usage[0], 0), whole)
            machine = min(max(usage[1] - watched.usage[1], 0), whole - computing)
            rest = whole - computing - machine
            collecting = min(max(collected - watched.collected_then, 0), computing)
            seen.collecting += collecting
            seen.computing += computing - collecting
            seen.machine += machine
            # This thread has the lock: whether it is another one's at other times, it cannot tell.
            kind = evidence.rest_went_to(rest, usage[3] != "R", max(usage[2] - watched.usage[2], 0), True, 5_000_000)
            if kind == evidence.MACHINE:
                seen.machine += rest
            elif kind == evidence.INTERPRETER:
                seen.interpreter += rest
            else:
                seen.waiting += rest
            computed = computing > 1_000_000
            seen.samples += computed
            # Python code lets go of the lock at few places, but then it has to wait for it.
            gave_way = usage[2] > watched.usage[2]
            seen.moved += computed and not kept_out and (where != watched.position or gave_way)
        watched.looked = now
        watched.position = where
        watched.collected_then = collected
        watched.usage = usage

    # -- The listener's thread

    def _tell(self, sighting: Sighting) -> None:
        with self._changed:
            self._news.append(sighting)
            self._changed.notify_all()

    def next(self) -> Sighting | None:
        """Wait for the next thing to tell, and return it; None when `stop` was called."""
        with self._changed:
            while not self._news and not self._halt.is_set():
                self._changed.wait()
            return self._news.popleft() if self._news else None

    def done(self, serial: int) -> None:
        """What `next` gave has been seen to.  If that takes longer than a second, the sentinel writes of it as well."""


def _spots(where: str | None) -> list[tuple[str, int, str]]:
    if where is None:
        return []
    place, _, function = where.rpartition(" in ")
    file, _, line = place.rpartition(":")
    return [(file, int(line), function)]
