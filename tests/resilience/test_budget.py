"""The budget of additional calls, against a model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from hocket.resilience import RetryBudget
from tests.resilience.world import World
from tests.virtual import VirtualDriver, run


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.calls: list[int] = []
        self.spent: list[int] = []

    @initialize(ratio=st.sampled_from([0.0, 0.25, 0.5, 2.0]), reserve=st.sampled_from([0.0, 0.25, 1.0]))
    def make(self, ratio: float, reserve: float) -> None:
        self.budget = RetryBudget(ratio=ratio, reserve=max(reserve, 0.25 if ratio == 0 else 0.0), window=8.0)

    def step(self) -> int:
        return int(self.world.now() / 0.8)

    def balance(self) -> float:
        oldest = self.step() - 10
        calls = sum(step > oldest for step in self.calls)
        spent = sum(step > oldest for step in self.spent)
        return self.budget.reserve * 8.0 + self.budget.ratio * calls - spent

    @rule(count=st.integers(1, 5))
    def call(self, count: int) -> None:
        """Calls fill it."""
        for _ in range(count):
            self.world.do(self.budget.call)
            self.calls.append(self.step())

    @rule()
    def spend(self) -> None:
        """It gives as much as the model has."""
        expected = self.balance() >= 1
        assert self.world.do(self.budget.try_spend) is expected
        if expected:
            self.spent.append(self.step())

    @rule(eighths=st.integers(1, 80))
    def pass_time(self, eighths: int) -> None:
        self.world.pass_time(eighths / 8)

    @invariant()
    def is_as_the_model(self) -> None:
        if hasattr(self, "budget"):
            assert self.world.do(self.budget.balance) == pytest.approx(self.balance())

    def teardown(self) -> None:
        self.world.close()


def test_it_does_what_the_model_does() -> None:
    """Over any sequence of calls, retries and pauses."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=30, deadline=None))


@pytest.mark.slow
@pytest.mark.long
def test_it_does_what_the_model_does_for_long() -> None:
    """The same, with many more of them."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=1000, stateful_step_count=60, deadline=None))


def test_additional_calls_are_a_share_of_the_calls() -> None:
    """Whatever fails, however long."""
    driver = VirtualDriver()

    async def main() -> float:
        budget = RetryBudget(ratio=0.2, reserve=0.0)
        made = 0
        for _ in range(10_000):
            budget.call()
            made += budget.try_spend()
            driver.advance(0.01)
        return made / 10_000

    assert run(main(), driver=driver) == pytest.approx(0.2, abs=0.001)


def test_who_calls_seldom_can_retry_too() -> None:
    """The reserve is so many a second, over the window."""

    async def main() -> list[bool]:
        budget = RetryBudget(ratio=0.0, reserve=0.5, window=4.0)
        return [budget.try_spend() for _ in range(4)]

    assert run(main()) == [True, True, False, False]


@pytest.mark.parametrize(
    "options",
    [
        {"ratio": -0.1},
        {"ratio": 11},
        {"reserve": -1},
        {"window": 0},
        {"ratio": 0, "reserve": 0},
        {"ratio": float("nan")},
    ],
)
def test_what_makes_no_sense_is_refused(options) -> None:
    """Where it is written."""
    with pytest.raises(ValueError, match="RetryBudget"):
        RetryBudget(**options)
