"""`CircuitBreaker`: do not ask a service that is down.

===========  =============================================  ==================================================
state        lets in                                        goes to
===========  =============================================  ==================================================
closed       everybody                                      open, when too many calls of the window have failed
                                                            or were slow
open         nobody                                         half-open, when its time is over
half-open    as many probes as it takes                     closed, when all of them have succeeded;
                                                            open, when one fails, is slow, or is not heard of
isolated     nobody, until `reset`                          closed, by `reset`
===========  =============================================  ==================================================

A call is judged by the state that it began in: what was let in before the circuit opened says nothing about whether it
may close.  There is no timer: what the time changes is seen when the next call comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hocket.core.wait import Wait
from hocket.resilience.errors import CircuitOpen, Refused
from hocket.resilience.policy import Guard, now_if_running
from hocket.resilience.windows import Window
from hocket.structured import checks

if TYPE_CHECKING:
    from hocket.resilience.statistics import BreakerStatistics

_CLOSED, _OPEN, _HALF_OPEN, _ISOLATED = 0, 1, 2, 3
STATES = ("closed", "open", "half-open", "isolated")


class Ticket:
    """What a call was let in with."""

    __slots__ = ("began", "generation")

    began: float
    generation: int


class CircuitBreaker(Guard):
    """Refuses calls with `hocket.resilience.CircuitOpen` while those before have failed or were slow.

    It opens when, of at least *least_calls* within the last *window* seconds, a share of *failure_rate* or more has
    failed; or, with *slow_after* seconds, when a share of *slow_rate* took longer than that.  It stays open for
    *open_for* seconds, and for twice as long after each failed attempt to close, up to *longest* seconds.  Then it lets
    *probes* calls in; if all succeed it closes, if one does not it opens again.  A probe that is not heard of for as
    long as the circuit was open has failed.

    A call has failed if it raises one of *on*, a class or a tuple of classes; what inner policies refuse
    (`hocket.resilience.Refused`) and cancelled calls count neither way.  Any other exception is an answer of the
    service, and a success.

    As decorator, ``async with``, and stage.  Decisions: ``opened`` (seconds: for how long), ``half-opened``,
    ``closed``, ``refused``, ``isolated``.  Semantics of resilience4j's and Polly's, with a window of time.
    """

    def __init__(
        self,
        *,
        failure_rate: float = 0.5,
        least_calls: int = 20,
        window: float = 30.0,
        slow_after: float | None = None,
        slow_rate: float = 0.5,
        open_for: float = 5.0,
        longest: float = 60.0,
        probes: int = 3,
        on: type[Exception] | tuple[type[Exception], ...] = Exception,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        owner = "CircuitBreaker"
        self.failure_rate = checks.share(owner, "failure_rate", failure_rate, zero=False)
        self.least_calls = checks.positive_int(owner, "least_calls", least_calls)
        self.window = checks.seconds(owner, "window", window, zero=False)
        self.slow_after = None if slow_after is None else checks.seconds(owner, "slow_after", slow_after, zero=False)
        self.slow_rate = checks.share(owner, "slow_rate", slow_rate, zero=False)
        self.open_for = checks.seconds(owner, "open_for", open_for, zero=False)
        self.longest = checks.seconds(owner, "longest", longest, zero=False)
        self.probes = checks.positive_int(owner, "probes", probes)
        self.on = checks.errors(owner, "on", on)
        if self.longest < self.open_for:
            raise ValueError(f"{owner}: longest ({longest} s) is less than open_for ({open_for} s)")
        self._slow_limit = -1.0 if self.slow_after is None else self.slow_after
        self._window = Window(self.window)
        self._state = _CLOSED
        # Of calls that were let in before the state changed nobody wants to hear.
        self._generation = 0
        self._until = 0.0
        self._duration = self.open_for
        # Half-open: how many probes have been let in, and how many of those have succeeded.
        self._probing = 0
        self._proved = 0
        self._admitted_calls = 0
        self._refused = 0
        self._opened = 0

    @property
    def state(self) -> str:
        """``closed``, ``open``, ``half-open`` or ``isolated``, as the next call would find it."""
        now = now_if_running()
        if now is not None:
            self._look(now)
        return STATES[self._state]

    def isolate(self) -> None:
        """Let nobody in until `reset`: for an operator who knows better."""
        self._go_to(_ISOLATED)
        self._tell("isolated", now_if_running() or 0.0)

    def reset(self) -> None:
        """Close the circuit and forget what has happened."""
        self._close(now_if_running() or 0.0)

    def statistics(self) -> BreakerStatistics:
        """What it has seen; where no loop runs, as of the last call."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        now = now_if_running()
        if now is not None:
            self._look(now)
            self._window.move(now)
        return statistics.BreakerStatistics(
            STATES[self._state],
            self._window.calls,
            self._window.marked,
            self._window.slow,
            self._admitted_calls,
            self._refused,
            self._opened,
            self._probing - self._proved if self._state == _HALF_OPEN else 0,
            max(self._until - now, 0.0) if self._state == _OPEN and now is not None else None,
        )

    # -- The way of a call

    def _admit(self, now: float) -> Any:
        if self._state != _CLOSED:
            self._look(now)
            if self._state == _HALF_OPEN and self._probing < self.probes:
                self._probing += 1
            else:
                self._refuse(now)
        self._admitted_calls += 1
        ticket = Ticket.__new__(Ticket)
        ticket.began = now
        ticket.generation = self._generation
        return ticket

    def _admitted(self, wait: Wait, now: float) -> Any:
        return None

    def _leave(self, note: Any, now: float, error: BaseException | None) -> BaseException | None:
        ticket: Ticket = note
        if ticket.generation != self._generation:
            return None
        if error is not None:
            if isinstance(error, Refused) or not isinstance(error, Exception):
                # Not made, or cancelled: nothing was seen.
                if self._state == _HALF_OPEN:
                    self._probing -= 1
                return None
            if not isinstance(error, self.on):
                error = None
        slow = self._slow_limit >= 0 and now - ticket.began > self._slow_limit
        if self._state == _HALF_OPEN:
            self._judge_probe(now, error is not None or slow)
            return None
        window = self._window
        window.add(now, 1, 1 if error is not None else 0, 1 if slow else 0)
        if (error is not None or slow) and window.calls >= self.least_calls:
            calls = window.calls
            if window.marked >= self.failure_rate * calls or window.slow >= self.slow_rate * calls:
                self._duration = self.open_for
                self._open(now, error)
        return None

    def _judge_probe(self, now: float, failed: bool) -> None:
        if failed:
            self._duration = min(self._duration * 2, self.longest)
            self._open(now, None)
            return
        self._proved += 1
        if self._proved >= self.probes:
            self._close(now)

    def _look(self, now: float) -> None:
        """See what the time has changed."""
        if self._state == _OPEN and now >= self._until:
            self._go_to(_HALF_OPEN)
            self._until = now + self._duration
            self._tell("half-opened", now)
        elif self._state == _HALF_OPEN and now >= self._until:
            if self._probing > self._proved:
                # Probes that never end must not keep it from ever trying again.
                self._judge_probe(now, True)
            else:
                self._until = now + self._duration

    def _open(self, now: float, error: BaseException | None) -> None:
        self._go_to(_OPEN)
        self._until = now + self._duration
        self._opened += 1
        self._tell("opened", now, error, self._duration)

    def _close(self, now: float) -> None:
        self._go_to(_CLOSED)
        self._duration = self.open_for
        self._tell("closed", now)

    def _go_to(self, state: int) -> None:
        self._state = state
        self._generation += 1
        self._probing = 0
        self._proved = 0
        self._window.clear()

    def _refuse(self, now: float) -> None:
        self._refused += 1
        after = max(self._until - now, 0.0) if self._state == _OPEN else None
        self._tell("refused", now, None, after)
        how_long = "" if after is None else f", for another {after:.3g} s"
        raise CircuitOpen(f"{self.name} is {STATES[self._state]}{how_long}", policy=self, retry_after=after)
