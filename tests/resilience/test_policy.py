"""What all policies have in common: decorators, blocks, pipelines, decisions, and the switch."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import hocket
from hocket import resilience
from hocket.resilience import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFull,
    CircuitBreaker,
    CircuitOpen,
    Decision,
    Fallback,
    Hedge,
    InjectError,
    InjectLatency,
    InjectResult,
    LeakyBucket,
    LoadShedder,
    Pipeline,
    Policy,
    RateLimiter,
    Refused,
    Retry,
    Timeout,
)
from tests.virtual import run

GUARDS: list[Callable[[], Any]] = [
    AdaptiveLimit,
    lambda: Bulkhead(3),
    CircuitBreaker,
    lambda: LeakyBucket(10),
    LoadShedder,
    lambda: RateLimiter(10),
    lambda: Timeout(1),
]
EVERY = [
    *GUARDS,
    Retry,
    lambda: Fallback(None),
    lambda: Hedge(delay=1),
    lambda: InjectError(0),
    lambda: InjectLatency(0, 1),
    lambda: InjectResult(0, None),
]
every = pytest.mark.parametrize("make", EVERY, ids=lambda make: type(make()).__name__)
guards = pytest.mark.parametrize("make", GUARDS, ids=lambda make: type(make()).__name__)


async def double(number: int, *, plus: int = 0) -> int:
    await asyncio.sleep(0.001)
    return 2 * number + plus


async def fail() -> None:
    raise LookupError("missing")


@every
def test_a_decorated_function_does_what_it_did(make) -> None:
    """With its name, its arguments and its result; and it is a coroutine function."""
    decorated = make()(double)
    assert inspect.iscoroutinefunction(decorated)
    assert decorated.__name__ == "double"
    assert run(decorated(3, plus=1)) == 7


@every
def test_a_call_does_what_the_function_does(make) -> None:
    """Also without a decorator."""
    policy = make()
    assert run(policy.call(double, 3, plus=1)) == 7


@every
def test_an_error_comes_through(make) -> None:
    """As it is, if the policy has nothing to say about it."""
    policy = make() if not isinstance(make(), Fallback) else Fallback(None, on=OSError)
    with pytest.raises(LookupError, match="missing"):
        run(policy.call(fail))


@every
def test_a_cancellation_comes_through(make) -> None:
    """At once, and it is over then: the call was cancelled, too."""
    ended: list[str] = []

    async def long() -> None:
        try:
            await asyncio.sleep(0.5)
        finally:
            ended.append("cleaned up")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(make().call(long))
        await asyncio.sleep(0.25)
        began = loop.time()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["cleaned up"]
        return loop.time() - began

    assert run(main()) == 0.0


@every
def test_it_has_statistics_and_a_name(make) -> None:
    """A frozen object; also where no loop runs."""
    policy = make()
    statistics = policy.statistics()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(statistics, dataclasses.fields(statistics)[0].name, 1)
    assert policy.name == type(policy).__name__
    assert type(policy).__name__ in repr(policy)


@every
def test_what_cannot_be_awaited_is_refused(make) -> None:
    """Where it is decorated, not when it is called."""
    policy = make()

    async def generator() -> AsyncIterator[int]:
        yield 1

    for function in (abs, len):
        assert callable(function)
    for wrong in (lambda: 1, generator, None, 3):
        with pytest.raises(TypeError):
            policy(wrong)


@guards
def test_a_guard_stands_around_a_block(make) -> None:
    """Of several tasks at once, and nested."""

    async def main() -> None:
        guard = make()

        async def block() -> None:
            async with guard as entered:
                assert entered is guard
                await asyncio.sleep(0.1)

        await asyncio.gather(block(), block())
        async with guard, guard:
            pass
        with pytest.raises(LookupError):
            async with guard:
                raise LookupError
        assert not guard._blocks

    run(main())


@pytest.mark.parametrize("make", [Retry, lambda: Fallback(1), lambda: Hedge(delay=1), lambda: InjectResult(1, 2)])
def test_what_decides_about_the_call_cannot_stand_around_a_block(make) -> None:
    """It says why."""
    policy = make()

    async def main() -> None:
        async with policy:
            pass

    with pytest.raises(TypeError, match="cannot be used with `async with`: a block of code"):
        run(main())
    with pytest.raises(TypeError, match="cannot stand around a block"):
        run(_enter(Pipeline(Timeout(1), policy)))


async def _enter(policy: Policy) -> None:
    async with policy:
        pass


def test_a_block_is_left_in_the_task_that_entered_it() -> None:
    """Anything else is a mistake that is said."""

    async def main() -> None:
        guard = Bulkhead(1)
        await guard.__aenter__()
        with pytest.raises(RuntimeError, match="another task"):
            await asyncio.ensure_future(_leave(guard))
        await guard.__aexit__(None, None, None)
        assert guard.statistics().inside == 0

    run(main())


async def _leave(guard: Policy) -> None:
    await guard.__aexit__(None, None, None)


def test_a_pipeline_goes_from_the_outside_in() -> None:
    """Each stage sees what the stages inside of it have made of the call."""
    seen: list[str] = []

    class Noting(Policy):
        async def run(self, call: Callable[[], Awaitable[Any]]) -> Any:
            seen.append(f"{self.name} begins")
            try:
                return await call()
            finally:
                seen.append(f"{self.name} ends")

    pipeline = Pipeline(Noting("one"), Bulkhead(1), Noting("two"), Timeout(1), CircuitBreaker(), Noting("three"))
    assert run(pipeline.call(double, 1)) == 2
    expected = ["one begins", "two begins", "three begins", "three ends", "two ends", "one ends"]
    assert seen == expected


def test_a_pipeline_in_a_pipeline_is_its_stages() -> None:
    """So that guards which follow each other are passed in one go."""
    inner = Pipeline(CircuitBreaker(), Bulkhead(1))
    outer = Pipeline(Timeout(1), inner)
    assert outer.stages[1:] == inner.stages
    statistics = outer.statistics()
    assert [name for name, _ in statistics.stages] == ["Timeout", "CircuitBreaker", "Bulkhead"]


def test_what_was_passed_is_left_when_a_later_stage_refuses() -> None:
    """In whatever order they stand, nobody stays inside."""

    async def main() -> None:
        outer, inner = Bulkhead(5), Bulkhead(1)
        pipeline = Pipeline(outer, Timeout(10), inner)
        held = asyncio.ensure_future(pipeline.call(asyncio.sleep, 5))
        await asyncio.sleep(1)
        with pytest.raises(BulkheadFull):
            await pipeline.call(double, 1)
        assert outer.statistics().inside == 1
        await held
        assert outer.statistics().inside == inner.statistics().inside == 0

    run(main())


def test_a_wait_in_a_later_stage_counts_for_the_timeout_before_it() -> None:
    """The timeout ends the wait, and the place in line is given up."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        bulkhead = Bulkhead(1, waiting=5)
        held = asyncio.ensure_future(bulkhead.call(asyncio.sleep, 60))
        await asyncio.sleep(1)
        began = loop.time()
        pipeline = Pipeline(Timeout(2), bulkhead, RateLimiter(1))
        with pytest.raises(TimeoutError):
            await pipeline.call(double, 1)
        assert bulkhead.statistics().waiting.waiters == ()
        held.cancel()
        return loop.time() - began

    assert run(main()) == 2.0


@pytest.mark.parametrize(
    ("stages", "error", "message"),
    [
        ((), ValueError, "at least one"),
        ((3,), TypeError, "a stage is a policy, got 3"),
        ((Timeout,), TypeError, "a stage is a policy"),
        ((Policy("mine"),), TypeError, "cannot be a stage"),
    ],
)
def test_a_pipeline_takes_policies(stages, error, message) -> None:
    """One or more, and nothing else."""
    with pytest.raises(error, match=message):
        Pipeline(*stages)


def test_one_policy_stands_in_a_pipeline_once() -> None:
    """A bulkhead inside of itself would wait for ever."""
    bulkhead = Bulkhead(1)
    with pytest.raises(ValueError, match="twice"):
        Pipeline(bulkhead, Pipeline(Timeout(1), bulkhead))


def test_a_policy_of_ones_own_is_a_decorator_and_a_stage() -> None:
    """It defines run()."""

    class Twice(Policy):
        async def run(self, call: Callable[[], Awaitable[Any]]) -> Any:
            return [await call(), await call()]

    assert run(Twice().call(double, 1)) == [2, 2]
    assert run(Pipeline(Twice(), Bulkhead(1))(double)(2)) == [4, 4]


# -- Decisions


def test_a_listener_hears_what_is_decided() -> None:
    """With which policy, when, and why; until it is stopped."""
    heard: list[Decision] = []

    async def main() -> None:
        bulkhead = Bulkhead(1, name="database")
        stop = bulkhead.listen(heard.append)
        async with bulkhead:
            with pytest.raises(BulkheadFull, match="database is full: 1 calls are under way"):
                await bulkhead.call(double, 1)
            stop()
            stop()
            with pytest.raises(BulkheadFull):
                await bulkhead.call(double, 1)

    run(main())
    [decision] = heard
    assert (decision.policy.name, decision.what, decision.at) == ("database", "refused", 1000.0)


def test_one_listener_can_hear_every_policy() -> None:
    """For metrics and logs."""
    heard: list[tuple[str, str]] = []
    stop = resilience.listen(lambda decision: heard.append((decision.policy.name, decision.what)))
    try:
        run(Pipeline(Fallback("nothing"), InjectError(1.0)).call(double, 1))
    finally:
        stop()
    assert heard == [("InjectError", "injected"), ("Fallback", "used")]


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_listener_that_raises_is_removed_and_logged(caplog: pytest.LogCaptureFixture, everywhere: bool) -> None:
    """The call goes on as if nobody listened."""
    fallback = Fallback("nothing", name="soft")
    called: list[int] = []

    def broken(decision: Decision) -> None:
        called.append(1)
        raise RuntimeError("broken listener")

    resilience.listen(broken) if everywhere else fallback.listen(broken)
    with caplog.at_level(logging.ERROR, logger="asyncio"):
        for _ in range(3):
            assert run(fallback.call(fail)) == "nothing"
    assert len(called) == 1
    assert "A listener for the decisions of 'soft' has failed" in caplog.text


def test_a_listener_is_something_to_call() -> None:
    """Anything else is refused early."""
    with pytest.raises(TypeError, match="something to call"):
        resilience.listen(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="something to call"):
        Bulkhead(1).listen(3)  # type: ignore[arg-type]


# -- The switch


def test_the_switch_says_how_it_was() -> None:
    """And takes nothing but a bool."""
    assert resilience.set_waiting(False) is True
    assert resilience.set_waiting(True) is False
    with pytest.raises(TypeError, match="expected a bool"):
        resilience.set_waiting(0)  # type: ignore[arg-type]


def test_what_is_refused_is_one_family() -> None:
    """Whoever wants to know that a call was not made asks for one class."""
    for name in ("CircuitOpen", "BulkheadFull", "RateLimited", "Overloaded", "PoolClosed", "PoolExhausted"):
        assert issubclass(getattr(resilience, name), Refused)
    assert CircuitOpen("no", retry_after=3.0).retry_after == 3.0


def test_everything_public_is_there() -> None:
    """All names resolve, dir() shows them, and others do not exist."""
    for name in resilience.__all__:
        assert getattr(resilience, name) is not None
        assert name in dir(resilience)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        resilience.nonsense  # noqa: B018
    assert hocket.resilience is resilience


def test_most_policies_work_on_every_loop() -> None:
    """Where nothing is bounded in time, also on asyncio's own."""

    async def main() -> int:
        return await Pipeline(Retry(), CircuitBreaker(), RateLimiter(100, burst=1), Bulkhead(1, waiting=5)).call(
            double, 2
        )

    async def several() -> list[int]:
        return await asyncio.gather(*(main() for _ in range(3)))

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(several()) == [4, 4, 4]


def test_policies_can_be_used_on_one_loop_after_another() -> None:
    """A module-level policy serves every test's own loop; and at once only one."""
    bulkhead = Bulkhead(1, waiting=5)

    async def use() -> None:
        await asyncio.gather(*(bulkhead.call(double, 1) for _ in range(3)))

    run(use())
    run(use())
    assert bulkhead.statistics().admitted == 6
