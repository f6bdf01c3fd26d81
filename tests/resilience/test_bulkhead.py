"""The bulkhead, against a model: who is inside, and who waits in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hocket.resilience import Bulkhead, BulkheadFull
from tests.resilience.world import World
from tests.virtual import run


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.inside: list[Any] = []
        self.waiting: list[Any] = []
        self.entered: list[Any] = []

    @initialize(limit=st.integers(1, 3), waiting=st.integers(0, 3))
    def make(self, limit: int, waiting: int) -> None:
        self.bulkhead = Bulkhead(limit, waiting=waiting)

    @rule()
    def come(self) -> None:
        """Whoever comes is let in, waits, or is refused, as there is room."""
        end = self.world.loop.create_future()

        async def call() -> None:
            self.entered.append(end)
            await end

        task = self.world.spawn(self.bulkhead.call(call))
        if len(self.inside) < self.bulkhead.limit:
            self.inside.append((task, end))
        elif len(self.waiting) < self.bulkhead.waiting:
            self.waiting.append((task, end))
        else:
            assert isinstance(task.exception(), BulkheadFull)

    def leave(self, index: int) -> None:
        self.inside.pop(index)
        if self.waiting:
            self.inside.append(self.waiting.pop(0))

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), how=st.sampled_from(["ends", "fails", "is cancelled"]))
    def go(self, data: Any, how: str) -> None:
        """The place goes to whoever has waited longest."""
        index = data.draw(st.integers(0, len(self.inside) - 1))
        task, end = self.inside[index]
        if how == "ends":
            end.set_result(None)
        elif how == "fails":
            end.set_exception(OSError())
        else:
            task.cancel()
        self.world.settle()
        if not task.cancelled():
            task.exception()
        self.leave(index)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: Any) -> None:
        """Nobody else loses his place."""
        task, _ = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        task.cancel()
        self.world.settle()
        assert task.cancelled()

    @precondition(lambda self: self.inside and self.waiting)
    @rule(first=st.booleans())
    def go_in_the_step_in_which_the_next_gives_up(self, first: bool) -> None:
        """The place is passed on to the one after him."""
        (task, end), (next_one, _) = self.inside[0], self.waiting[0]
        if first:
            next_one.cancel()
            end.set_result(None)
        else:
            end.set_result(None)
            # In the same turn: the end is noticed first.
            self.world.loop.call_soon(next_one.cancel)
        self.world.settle()
        assert task.done()
        self.waiting.pop(0)
        self.inside.pop(0)
        if self.waiting:
            self.inside.append(self.waiting.pop(0))
        if not next_one.cancelled():
            # It was inside already, and was cancelled there.
            assert next_one.done()

    @invariant()
    def is_as_the_model(self) -> None:
        if not hasattr(self, "bulkhead"):
            return
        statistics = self.bulkhead.statistics()
        assert statistics.inside == len(self.inside) <= statistics.limit
        assert len(statistics.waiting.waiters) == len(self.waiting)
        assert all(end in self.entered for _, end in self.inside)
        assert not any(end in self.entered for _, end in self.waiting)

    def teardown(self) -> None:
        self.world.close()


def test_it_does_what_the_model_does() -> None:
    """Over any sequence of coming, going and giving up."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=30, deadline=None))


@pytest.mark.slow
@pytest.mark.long
def test_it_does_what_the_model_does_for_long() -> None:
    """The same, with many more of them."""
    run_state_machine_as_test(Machine, settings=settings(max_examples=1000, stateful_step_count=50, deadline=None))


def test_a_wait_is_told() -> None:
    """With how many wait."""
    heard: list[Any] = []

    async def main() -> None:
        bulkhead = Bulkhead(1, waiting=2)
        bulkhead.listen(lambda decision: heard.append((decision.what, decision.number)))
        await asyncio.gather(*(bulkhead.call(asyncio.sleep, 1) for _ in range(4)), return_exceptions=True)

    run(main())
    assert heard == [("waiting", 1), ("waiting", 2), ("refused", None)]


@pytest.mark.parametrize(
    ("limit", "options", "error"),
    [
        (0, {}, ValueError),
        (-1, {}, ValueError),
        (1.5, {}, TypeError),
        (True, {}, TypeError),
        (1, {"waiting": -1}, ValueError),
    ],
)
def test_it_needs_a_bound(limit: Any, options: dict[str, Any], error: type[Exception]) -> None:
    """A whole number, at least 1; and nobody waits in a line without end."""
    with pytest.raises(error):
        Bulkhead(limit, **options)
