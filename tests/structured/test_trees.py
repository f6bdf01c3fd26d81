"""Random trees of groups, scopes, shields and deadlines, in virtual time: what holds in every one of them.

A tree says what a task does, step by step.  Whoever carries it out keeps a model beside: for each task the scopes
around it, from which follows what it has to feel at any moment, who has to catch, and what has to come out of each
group.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hocket
from tests.virtual import run

# -- Trees


@dataclass(frozen=True)
class Sleep:
    seconds: float


@dataclass(frozen=True)
class Fail:
    pass


@dataclass(frozen=True)
class Cancel:
    """Cancel one of the scopes around, counted from the inside."""

    outwards: int


@dataclass(frozen=True)
class Swallow:
    """Sleep, and go on whatever happens."""

    seconds: float


@dataclass(frozen=True)
class CancelTask:
    """`Task.cancel`, on itself: it arrives at the next suspension."""


@dataclass(frozen=True)
class Resource:
    """Hold something while the steps run, and give it back in the end, which takes time."""

    steps: tuple[Any, ...]
    closing: float


@dataclass(frozen=True)
class Scope:
    seconds: float
    shield: bool
    fails: bool
    steps: tuple[Any, ...]


@dataclass(frozen=True)
class Timeout:
    """asyncio's."""

    seconds: float
    steps: tuple[Any, ...]


@dataclass(frozen=True)
class Group:
    steps: tuple[Any, ...]
    tasks: tuple[tuple[Any, ...], ...]
    own: bool
    """hocket's, and not asyncio's."""


times = st.sampled_from([0, 1, 2, 3, 5, 8])
leaves = st.one_of(
    st.builds(Sleep, times),
    st.builds(Sleep, times),
    st.builds(Swallow, times),
    st.builds(Cancel, st.integers(0, 3)),
    st.just(Fail()),
    st.just(CancelTask()),
)


def _blocks(inner: Any) -> Any:
    steps = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Scope, st.sampled_from([math.inf, 0, 1, 2, 4]), st.booleans(), st.booleans(), steps),
        st.builds(Resource, steps, times),
        st.builds(Timeout, st.sampled_from([1, 2, 4]), steps),
        st.builds(Group, steps, st.lists(steps, max_size=3).map(tuple), st.sampled_from([True, True, True, False])),
    )


trees = st.lists(st.recursive(leaves, _blocks, max_leaves=14), min_size=1, max_size=3).map(tuple)


# -- The model


@dataclass
class Around:
    """A scope around a task, and what the model knows of it."""

    scope: Any
    shield: bool


@dataclass
class Inherited:
    """Stands for the scopes of whoever made a task that is not inside of them."""

    deadline: float
    cancel_called: bool = False

    def cancel(self, reason: str) -> None:
        """They are out of reach."""


@dataclass
class World:
    held: int = 0
    tasks: set[Any] = field(default_factory=set)
    failures: int = 0


class Failure(Exception):
    """What a tree raises: each is one of its kind."""


def visible(around: tuple[Around, ...]) -> bool:
    """Whether a task inside of these scopes, the innermost last, has to feel that one is cancelled."""
    for each in reversed(around):
        if each.scope.cancel_called:
            return True
        if each.shield:
            return False
    return False


def earliest(around: tuple[Around, ...]) -> float:
    deadline = math.inf
    for each in reversed(around):
        deadline = min(deadline, each.scope.deadline)
        if each.shield:
            break
    return deadline


def _real(around: tuple[Around, ...]) -> tuple[Around, ...]:
    """Without the deadlines that a task is told of and not held to."""
    return tuple(each for each in around if not isinstance(each.scope, Inherited))


def delivered() -> int:
    """How many requests of `Task.cancel` have arrived in this task."""
    task: Any = asyncio.current_task()
    return int(task.cancelling()) - (1 if task._must_cancel else 0)


def in_group(error: BaseException) -> list[BaseException]:
    assert isinstance(error, BaseExceptionGroup)
    return list(error.exceptions)


class Walk:
    """Carries trees out."""

    def __init__(self) -> None:
        self.world = World()

    async def steps(self, steps: tuple[Any, ...], around: tuple[Around, ...]) -> None:
        for step in steps:
            await getattr(self, type(step).__name__.lower())(step, around)

    async def sleep(self, step: Sleep, around: tuple[Around, ...]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        cancelled = visible(around)
        assert hocket.current_effective_deadline() == (-math.inf if cancelled else earliest(around))
        task: Any = asyncio.current_task()
        requested = task._must_cancel
        try:
            await asyncio.sleep(step.seconds)
        except asyncio.CancelledError as error:
            if hocket.why_cancelled(error):
                assert visible(around)
            raise
        else:
            # In a cancelled scope nobody gets through a suspension.
            assert not cancelled
            assert not requested
            assert loop.time() <= max(began, earliest(_real(around)))
        finally:
            if cancelled or requested:
                assert loop.time() == began

    async def swallow(self, step: Swallow, around: tuple[Around, ...]) -> None:
        try:
            await self.sleep(Sleep(step.seconds), around)
        except asyncio.CancelledError:
            pass

    async def fail(self, step: Fail, around: tuple[Around, ...]) -> None:
        self.world.failures += 1
        raise Failure(self.world.failures)

    async def cancel(self, step: Cancel, around: tuple[Around, ...]) -> None:
        if step.outwards < len(around):
            around[-1 - step.outwards].scope.cancel("by the tree")

    async def canceltask(self, step: CancelTask, around: tuple[Around, ...]) -> None:
        task: Any = asyncio.current_task()
        task.cancel()

    async def resource(self, step: Resource, around: tuple[Around, ...]) -> None:
        self.world.held += 1
        try:
            await self.steps(step.steps, around)
        finally:
            try:
                with hocket.move_on_after(3, shield=True) as scope:
                    await self.sleep(Sleep(step.closing), (*around, Around(scope, True)))
            finally:
                self.world.held -= 1

    async def timeout(self, step: Timeout, around: tuple[Around, ...]) -> None:
        try:
            async with asyncio.timeout(step.seconds):
                await self.steps(step.steps, around)
        except TimeoutError as error:
            raise Failure from error

    async def scope(self, step: Scope, around: tuple[Around, ...]) -> None:
        make = hocket.fail_after if step.fails else hocket.move_on_after
        scope = make(step.seconds, shield=step.shield)
        raised: BaseException | None = None
        out: BaseException | None = None
        before = delivered()
        try:
            with scope:
                try:
                    await self.steps(step.steps, (*around, Around(scope, step.shield)))
                except BaseException as error:
                    raised = error
                    raise
        except BaseException as error:
            out = error
        # Exactly the right scope catches: it is cancelled, what arrives is a cancellation, and nobody further out, nor
        # Task.cancel(), has a say in that.
        catches = (
            scope.cancel_called
            and isinstance(raised, asyncio.CancelledError)
            and (step.shield or not visible(around))
            and delivered() <= before
        )
        assert scope.cancelled_caught == catches
        if not catches:
            if hocket.why_cancelled(raised) and scope.cancel_called and delivered() > before:
                assert type(out) is asyncio.CancelledError
            else:
                assert out is raised
            if out is not None:
                raise out
        elif step.fails and scope.canceller == "deadline":
            assert type(out) is TimeoutError
            raise Failure from out
        else:
            assert out is None

    async def group(self, step: Group, around: tuple[Around, ...]) -> None:
        group: Any = hocket.TaskGroup() if step.own else asyncio.TaskGroup()
        started: list[Any] = []
        raised: BaseException | None = None
        out: BaseException | None = None
        inside = around
        try:
            async with group:
                if step.own:
                    inside = (*around, Around(group.cancel_scope, False))
                for steps in step.tasks:
                    if not step.own:
                        # Tasks of asyncio's groups are not inside of any scope.
                        inside = (Around(Inherited(earliest(around)), False),)
                    started.append(group.create_task(self.task(steps, inside)))
                inside = inside if step.own else around
                try:
                    await self.steps(step.steps, inside)
                except BaseException as error:
                    raised = error
                    raise
        except BaseException as error:
            out = error
        # No task outlives its group.
        assert all(task.done() for task in started)
        errors = [task.exception() for task in started if not task.cancelled() and task.exception() is not None]
        if raised is not None and not isinstance(raised, asyncio.CancelledError):
            errors.append(raised)
        if errors:
            # Every one is in the group, and nothing else.
            assert out is not None
            assert sorted(map(id, in_group(out))) == sorted(map(id, errors))
        elif out is not None:
            assert isinstance(out, asyncio.CancelledError)
        if out is not None:
            raise out

    async def task(self, steps: tuple[Any, ...], around: tuple[Around, ...]) -> None:
        task = asyncio.current_task()
        self.world.tasks.add(task)
        try:
            await self.steps(steps, around)
        finally:
            self.world.tasks.discard(task)


def carry_out(tree: tuple[Any, ...]) -> None:
    walk = Walk()

    async def main() -> None:
        task = asyncio.create_task(walk.task(tree, ()))
        await asyncio.wait([task])
        if not task.cancelled():
            error = task.exception()
            while isinstance(error, BaseExceptionGroup):
                assert not any(isinstance(each, asyncio.CancelledError) for each in error.exceptions)
                error = next((each for each in error.exceptions if isinstance(each, BaseExceptionGroup)), None)
            if isinstance(error, AssertionError):
                raise error
        _raise_broken_model(None if task.cancelled() else task.exception())
        # All is given back, nobody is left, and no timer.
        assert walk.world.held == 0
        assert walk.world.tasks == set()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        loop: Any = asyncio.get_running_loop()
        assert len(loop._scheduled) == 0

    run(main())


def _raise_broken_model(error: BaseException | None) -> None:
    """An assertion that failed inside of a task, out of whatever it was put into."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            _raise_broken_model(each)
    elif error is not None and not isinstance(error, Failure):
        raise error


COMMON: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}


@settings(max_examples=200, **COMMON)
@given(trees)
def test_trees(tree: tuple[Any, ...]) -> None:
    """Deadlines are the earliest, suspensions in cancelled scopes raise, the right one catches, groups are whole."""
    carry_out(tree)


@pytest.mark.slow
@pytest.mark.long
@settings(max_examples=5000, **COMMON)
@given(trees)
def test_thousands_of_trees(tree: tuple[Any, ...]) -> None:
    """As above, thousands of times."""
    carry_out(tree)
