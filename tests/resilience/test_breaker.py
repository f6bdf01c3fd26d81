"""The circuit breaker, against a model of its states."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hocket.resilience import Bulkhead, BulkheadFull, CircuitBreaker, CircuitOpen, Pipeline
from tests.resilience.world import World
from tests.virtual import run

WINDOW, SLOTS, LEAST, RATE, SLOW_AFTER, SLOW_RATE = 10.0, 10, 4, 0.5, 2.0, 0.75
OPEN_FOR, LONGEST, PROBES = 5.0, 12.0, 2


@dataclass
class Model:
    """What a breaker does, written once more: a list of what happened, and the table of states."""

    state: str = "closed"
    happened: list[tuple[int, bool, bool]] = field(default_factory=list)
    until: float = 0.0
    duration: float = OPEN_FOR
    era: int = 0
    probing: int = 0
    proved: int = 0

    def go_to(self, state: str) -> None:
        self.state, self.happened, self.probing, self.proved = state, [], 0, 0
        self.era += 1

    def open(self, now: float) -> None:
        self.go_to("open")
        self.until = now + self.duration

    def look(self, now: float) -> None:
        if self.state == "open" and now >= self.until:
            self.go_to("half-open")
            self.until = now + self.duration
        elif self.state == "half-open" and now >= self.until:
            if self.probing > self.proved:
                self.fail_probe(now)
            else:
                self.until = now + self.duration

    def fail_probe(self, now: float) -> None:
        self.duration = min(self.duration * 2, LONGEST)
        self.open(now)

    def admit(self, now: float) -> bool:
        self.look(now)
        if self.state == "half-open" and self.probing < PROBES:
            self.probing += 1
            return True
        return self.state == "closed"

    def end(self, era: int, began: float, now: float, how: str) -> None:
        if era != self.era:
            return
        if how in ("cancelled", "refused"):
            if self.state == "half-open":
                self.probing -= 1
            return
        failed, slow = how == "failed", now - began > SLOW_AFTER
        if self.state == "half-open":
            if failed or slow:
                self.fail_probe(now)
            else:
                self.proved += 1
                if self.proved == PROBES:
                    self.go_to("closed")
                    self.duration = OPEN_FOR
            return
        self.happened.append((int(now / (WINDOW / SLOTS)), failed, slow))
        calls, failures, slows = self.counts(now)
        if (failed or slow) and calls >= LEAST and (failures >= RATE * calls or slows >= SLOW_RATE * calls):
            self.duration = OPEN_FOR
            self.open(now)

    def counts(self, now: float) -> tuple[int, int, int]:
        oldest = int(now / (WINDOW / SLOTS)) - SLOTS
        self.happened = [what for what in self.happened if what[0] > oldest]
        return len(self.happened), sum(what[1] for what in self.happened), sum(what[2] for what in self.happened)


class Machine(RuleBasedStateMachine):
    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.model = Model()
        self.breaker = CircuitBreaker(
            failure_rate=RATE,
            least_calls=LEAST,
            window=WINDOW,
            slow_after=SLOW_AFTER,
            slow_rate=SLOW_RATE,
            open_for=OPEN_FOR,
            longest=LONGEST,
            probes=PROBES,
            on=OSError,
        )

    @rule(target=calls)
    def begin(self) -> Any:
        """The breaker lets a call in exactly if the model does."""
        outcome = self.world.loop.create_future()

        async def call() -> None:
            await outcome

        task = self.world.spawn(self.breaker.call(call))
        if self.model.admit(self.world.now()):
            assert not task.done()
            return [task, outcome, self.model.era, self.world.now()]
        assert task.done()
        assert isinstance(task.exception(), CircuitOpen)
        return None

    @rule(call=calls, how=st.sampled_from(["succeeded", "failed", "cancelled", "refused", "answered no"]))
    def end(self, call: Any, how: str) -> None:
        if call is None or call[0].done():
            return
        task, outcome, era, began = call
        if how == "succeeded":
            outcome.set_result(None)
        elif how == "cancelled":
            task.cancel()
        else:
            outcome.set_exception(
                {"failed": OSError(), "refused": BulkheadFull("full"), "answered no": KeyError()}[how]
            )
        self.world.settle()
        assert task.done()
        if not task.cancelled():
            task.exception()
        self.model.end(era, began, self.world.now(), how)

    @rule(quarters=st.integers(1, 60))
    def pass_time(self, quarters: int) -> None:
        self.world.pass_time(quarters / 4)

    @invariant()
    def is_as_the_model(self) -> None:
        now = self.world.now()
        self.model.look(now)
        found = self.world.do(self.breaker.statistics)
        assert (found.state, found.calls, found.failures, found.slow) == (self.model.state, *self.model.counts(now))
        left = max(self.model.until - now, 0.0) if self.model.state == "open" else None
        assert found.opens_again_in == left

    def teardown(self) -> None:
        self.world.close()


def test_it_does_what_the_model_does() -> None:
    """Over any sequence of calls, outcomes and pauses."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=30, deadline=None))


@pytest.mark.slow
@pytest.mark.long
def test_it_does_what_the_model_does_for_long() -> None:
    """The same, with many more of them."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=1000, stateful_step_count=60, deadline=None))


async def succeed() -> str:
    return "answer"


async def fail() -> None:
    raise OSError("down")


async def break_circuit(breaker: CircuitBreaker, calls: int = 2) -> None:
    for _ in range(calls):
        with pytest.raises(OSError, match="down"):
            await breaker.call(fail)


def small(**options: Any) -> CircuitBreaker:
    return CircuitBreaker(**{"least_calls": 2, "probes": 1, "open_for": 5.0, **options})


def test_every_transition_of_the_table_is_told() -> None:
    """Whoever listens hears of each change of state, in order."""
    heard: list[str] = []

    async def main() -> None:
        breaker = small()
        breaker.listen(lambda decision: heard.append(decision.what))
        await break_circuit(breaker)
        await asyncio.sleep(5)
        with pytest.raises(OSError, match="down"):
            await breaker.call(fail)
        await asyncio.sleep(10)
        await breaker.call(succeed)
        breaker.isolate()
        with pytest.raises(CircuitOpen):
            await breaker.call(succeed)
        breaker.reset()
        assert await breaker.call(succeed) == "answer"

    run(main())
    expected = ["opened", "half-opened", "opened", "half-opened", "closed", "isolated", "refused", "closed"]
    assert heard == expected


def test_a_refused_call_says_when_it_may_be_worth_another_try() -> None:
    """`retry_after` is the rest of the time for which the circuit is open, and the call was not made."""

    async def main() -> float | None:
        breaker = small()
        await break_circuit(breaker)
        await asyncio.sleep(2)
        made = False

        async def call() -> None:
            nonlocal made
            made = True

        with pytest.raises(CircuitOpen) as refused:
            await breaker.call(call)
        assert not made
        assert refused.value.policy is breaker
        return refused.value.retry_after

    assert run(main()) == 3.0


def test_it_stays_open_for_longer_each_time_a_probe_fails() -> None:
    """Twice as long, up to the longest; and as in the beginning once it has been closed."""
    durations: list[float | None] = []

    async def main() -> None:
        breaker = small(open_for=1.0, longest=3.0)
        breaker.listen(lambda decision: durations.append(decision.seconds) if decision.what == "opened" else None)
        await break_circuit(breaker)
        for pause in (1, 2, 3):
            await asyncio.sleep(pause)
            await break_circuit(breaker, 1)
        await asyncio.sleep(3)
        await breaker.call(succeed)
        await break_circuit(breaker)

    run(main())
    assert durations == [1.0, 2.0, 3.0, 3.0, 1.0]


def test_a_probe_that_never_ends_does_not_keep_it_half_open() -> None:
    """After as long as the circuit was open it has failed."""

    async def main() -> str:
        breaker = small()
        await break_circuit(breaker)
        await asyncio.sleep(5)
        hangs = asyncio.ensure_future(breaker.call(asyncio.get_running_loop().create_future))
        await asyncio.sleep(5)
        state = breaker.state
        hangs.cancel()
        return state

    assert run(main()) == "open"


def test_a_cancelled_probe_leaves_its_place_to_another() -> None:
    """A cancellation says nothing about the service."""

    async def main() -> str:
        breaker = small()
        await break_circuit(breaker)
        await asyncio.sleep(5)
        probe = asyncio.ensure_future(breaker.call(asyncio.sleep, 60))
        await asyncio.sleep(1)
        probe.cancel()
        await asyncio.sleep(1)
        await breaker.call(succeed)
        return breaker.state

    assert run(main()) == "closed"


def test_what_inner_policies_refuse_is_no_failure_of_the_service() -> None:
    """A full bulkhead inside of the breaker does not open it."""

    async def main() -> str:
        breaker = small()
        guarded = Pipeline(breaker, Bulkhead(1))
        held = asyncio.ensure_future(guarded.call(asyncio.sleep, 10))
        await asyncio.sleep(1)
        for _ in range(10):
            with pytest.raises(BulkheadFull):
                await guarded.call(succeed)
        await held
        return breaker.state

    assert run(main()) == "closed"


def test_slow_calls_open_it_too() -> None:
    """If enough of them took longer than they may."""

    async def main() -> str:
        breaker = small(slow_after=1.0, slow_rate=0.5)
        await breaker.call(asyncio.sleep, 0.5)
        await breaker.call(asyncio.sleep, 1.5)
        return breaker.state

    assert run(main()) == "open"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"failure_rate": 0}, ValueError),
        ({"failure_rate": 1.5}, ValueError),
        ({"least_calls": 0}, ValueError),
        ({"least_calls": 1.5}, TypeError),
        ({"window": 0}, ValueError),
        ({"window": float("nan")}, ValueError),
        ({"window": float("inf")}, ValueError),
        ({"slow_after": -1}, ValueError),
        ({"open_for": 10, "longest": 5}, ValueError),
        ({"probes": 0}, ValueError),
        ({"on": asyncio.CancelledError}, TypeError),
        ({"on": ()}, ValueError),
        ({"on": "OSError"}, TypeError),
        ({"name": 3}, TypeError),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """Where it is written, with a message that says what was expected."""
    with pytest.raises(error):
        CircuitBreaker(**options)
