"""`RateLimiter` and `LeakyBucket`: so many calls a second, and no more.

Both keep one number: when the bucket will be full again (or empty, seen from the other side).  From that follows
exactly when the next call may be made, so whoever has to wait knows for how long before he begins, and is refused at
once if that is too late for him.  It is the generic cell rate algorithm (ITU-T I.371) with a line, first come, first
served.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hocket.core.wait import Line, Wait
from hocket.resilience import patience
from hocket.resilience.errors import RateLimited
from hocket.resilience.policy import Guard, now_if_running
from hocket.structured import checks
from hocket.structured.scopes import deadline_here

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.primitives.bound import running
    from hocket.resilience.policy import now_here

if TYPE_CHECKING:
    from hocket.resilience.statistics import RateStatistics

# Two moments this close are one: a loop's timers are no finer.
_CLOSE = 1e-9


class RateLimiter(Guard):
    """At most *rate* calls in *per* seconds, and *burst* at once after a pause: a token bucket.

    Whoever comes too early waits, first come, first served, if his turn comes within *longest_wait* seconds and before
    his deadline, and if fewer than *waiting* others wait.  If not he is refused at once with
    `hocket.resilience.RateLimited`, whose ``retry_after`` says when he could have had it.  ``longest_wait=0`` never
    waits.  Cancelling a wait takes nothing, and those behind move up.

    *burst* is the whole *rate* if it is not given: "100 in 60 seconds" lets 100 go at once, as most services count::

        limiter = RateLimiter(100, per=60)
        await limiter.acquire()

    As decorator, ``async with``, and stage; each call takes one.  Decisions: ``delayed`` (seconds), ``refused``.
    """

    def __init__(
        self,
        rate: float,
        *,
        per: float = 1.0,
        burst: float | None = None,
        longest_wait: float = 30.0,
        waiting: int = 1000,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        owner = type(self).__name__
        self.rate = checks.seconds(owner, "rate", rate, zero=False)
        self.per = checks.seconds(owner, "per", per, zero=False)
        self.burst = max(self.rate, 1.0) if burst is None else checks.seconds(owner, "burst", burst, zero=False)
        self.longest_wait = checks.seconds(owner, "longest_wait", longest_wait)
        self.waiting = checks.positive_int(owner, "waiting", waiting, 0)
        if self.burst < 1:
            raise ValueError(f"{owner}: burst is at least 1, or nobody would ever get through, got {burst!r}")
        self._interval = self.per / self.rate
        # By how many calls the bucket may run ahead of its rate; less than 0: not even by the one that is made.
        self._ahead = self.burst
        self._level = -math.inf
        self._line = Line()
        self._owed = 0.0
        self._timer: Any = None
        self._admitted_calls = 0
        self._delayed = 0
        self._refused = 0

    def acquire(self, amount: float = 1.0) -> Any:
        """``await limiter.acquire()`` takes *amount* calls, when it is their turn.

        Raises `hocket.resilience.RateLimited` if that comes too late, and `ValueError` for more than *burst*.
        """
        return _acquiring(self, self._checked(amount))

    def acquire_nowait(self, amount: float = 1.0) -> None:
        """Take *amount* calls now, or raise `hocket.resilience.RateLimited`."""
        amount = self._checked(amount)
        now = now_here()
        delay = self._delay(now, amount)
        if delay > _CLOSE and patience.waits():
            self._refuse(now, delay)
        self._take(now, amount)

    def statistics(self) -> RateStatistics:
        """What it has done so far; where no loop runs, as if the bucket were full."""
        from hocket.primitives.statistics import of_line
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        now = now_if_running()
        ahead = max((self._level - now) / self._interval, 0.0) if now is not None else 0.0
        return statistics.RateStatistics(
            max(self._ahead - ahead - self._owed, 0.0),
            self._admitted_calls,
            self._delayed,
            self._refused,
            of_line(self._line),
        )

    def _checked(self, amount: float) -> float:
        amount = checks.seconds(type(self).__name__, "amount", amount, zero=False)
        if amount > self.burst:
            raise ValueError(f"{self!r} lets {self.burst:g} go at once, and never {amount:g}")
        return amount

    # -- As a guard

    def _admit(self, now: float) -> Any:
        if self._line._first is None and self._delay(now, 1.0) <= _CLOSE:
            self._take(now, 1.0)
            return None
        return _acquiring(self, 1.0)

    # -- The bucket

    def _start(self, amount: float) -> float:
        """How far ahead of its rate the bucket may be when *amount* has been taken."""
        return self._ahead

    def _delay(self, now: float, amount: float) -> float:
        """In how many seconds *amount* can be taken, behind all who wait."""
        level = self._level if self._level > now else now
        return level + (self._owed + amount - self._start(amount)) * self._interval - now

    def _take(self, now: float, amount: float) -> None:
        level = self._level if self._level > now else now
        self._level = level + amount * self._interval
        self._admitted_calls += 1

    def _refuse(self, now: float, delay: float) -> None:
        self._refused += 1
        self._tell("refused", now, None, delay)
        raise RateLimited(
            f"{self.name} allows {self.rate:g} calls in {self.per:g} s: the next in {delay:.3g} s",
            policy=self,
            retry_after=delay,
        )

    def _queue(self, wait: Wait) -> Any:
        """Have *wait* stand in line, unless it can go on at once, or would wait too long."""
        now = now_here()
        amount: float = wait._item
        delay = self._delay(now, amount)
        if (self._line._first is None and delay <= _CLOSE) or not patience.waits():
            self._take(now, amount)
            return None
        if delay > self.longest_wait + _CLOSE or now + delay > deadline_here() or self._line._count >= self.waiting:
            self._refuse(now, delay)
        self._delayed += 1
        self._owed += amount
        awaited = self._stand_in(self._line, wait)
        self._tell("delayed", now, None, delay)
        if self._timer is None:
            self._set_timer(now)
        return awaited

    def _set_timer(self, now: float) -> None:
        """Wake the first in line when it is his turn."""
        first = self._line._first
        while first is not None and first._is_done():
            first = first._behind
        if first is None:
            return
        amount: float = first._item
        level = self._level if self._level > now else now
        due = level + (amount - self._start(amount)) * self._interval
        self._timer = running().call_at(due, self._serve)

    def _serve(self) -> None:
        """It is somebody's turn."""
        self._timer = None
        now = now_here()
        wait = self._line._first
        while wait is not None:
            behind = wait._behind
            if not wait._is_done():
                amount: float = wait._item
                level = self._level if self._level > now else now
                if level + (amount - self._start(amount)) * self._interval > now + _CLOSE:
                    break
                self._take(now, amount)
                self._owed -= amount
                wait._wake()
                self._line.leave(wait)
            wait = behind
        self._set_timer(now)

    def _left(self, wait: Wait) -> None:
        """*wait* has been interrupted."""
        self._line.leave(wait)
        amount: float = wait._item
        if wait._woken:
            # It has been its turn, and it will not take it.
            self._level -= amount * self._interval
            self._admitted_calls -= 1
        else:
            self._owed -= amount
        if self._line._first is None:
            self._owed = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._line._first is not None:
            self._set_timer(now_here())


class LeakyBucket(RateLimiter):
    """Calls leave one by one, *rate* in *per* seconds at an even pace, and at most *capacity* wait for their turn.

    A token bucket lets bursts through; this makes them even, for what cannot stand them.  ``acquire(3)`` is followed
    by a gap of three.  Who would wait longer than *longest_wait* seconds, or past his deadline, is refused as by
    `RateLimiter`::

        pace = LeakyBucket(50, capacity=200)
    """

    def __init__(
        self,
        rate: float,
        *,
        per: float = 1.0,
        capacity: int = 1000,
        longest_wait: float = 30.0,
        name: str | None = None,
    ) -> None:
        super().__init__(rate, per=per, burst=1.0, longest_wait=longest_wait, waiting=capacity, name=name)

    def _checked(self, amount: float) -> float:
        return checks.seconds(type(self).__name__, "amount", amount, zero=False)

    def _start(self, amount: float) -> float:
        return amount


class AcquireRate(Wait):
    """`RateLimiter.acquire`: ``_item`` is how much."""

    __slots__ = ()

    _name = "RateLimiter.acquire"

    def _begin(self) -> Any:
        limiter: RateLimiter = self._owner
        return limiter._queue(self)

    def _resume(self) -> Any:
        limiter: RateLimiter = self._owner
        self._check_woken()
        limiter._line.leave(self)
        return None

    def _interrupt(self, error: BaseException) -> Any:
        limiter: RateLimiter = self._owner
        limiter._left(self)
        raise error


def _acquiring(limiter: RateLimiter, amount: float) -> AcquireRate:
    operation = AcquireRate.__new__(AcquireRate)
    operation._owner = limiter
    operation._item = amount
    return operation  # type: ignore[no-any-return]
