"""Hedging: who wins, when, after how many attempts; and that nothing runs on behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hocket
from hocket.resilience import Hedge, RetryBudget
from tests.virtual import run

#: For each attempt: after how many eighths of a second it ends, and whether it succeeds.
ATTEMPTS = st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=4, max_size=4)


def model(attempts: list[tuple[int, bool]], delay: int, most: int) -> tuple[float, int | None, int]:
    """When it is over, which attempt has won (None: the last to fail is raised), and how many there were."""
    begun = [0]
    while True:
        ends = sorted((begun[index] + attempts[index][0], index) for index in range(len(begun)))
        # What comes next: the next hedge, or the end of an attempt that has not been seen yet.
        hedge_at = begun[-1] + delay if len(begun) < most else None
        failed = [end for end, index in ends if not attempts[index][1]]
        won = min(((end, index) for end, index in ends if attempts[index][1]), default=None)
        if len(begun) < most:
            first_failure = min((end for end in failed if end > begun[-1]), default=None)
            candidates = [time for time in (hedge_at, first_failure) if time is not None]
            upcoming = min(candidates)
            if won is not None and won[0] <= upcoming:
                return won[0], won[1], len(begun)
            begun.append(upcoming)
            continue
        if won is not None:
            return won[0], won[1], len(begun)
        return ends[-1][0], None, len(begun)


@given(ATTEMPTS, st.integers(1, 20), st.integers(2, 4))
def test_it_does_what_the_model_does(attempts: list[tuple[int, bool]], delay: int, most: int) -> None:
    """With attempts of any length that succeed or fail."""
    # Two things in one moment have no order that anybody relies on.
    attempts = [(128 * eighths + 3**index, succeeds) for index, (eighths, succeeds) in enumerate(attempts)]
    delay = 128 * delay
    begun = 0
    running = 0

    async def service() -> int:
        nonlocal begun, running
        number = begun
        begun += 1
        running += 1
        try:
            await asyncio.sleep(attempts[number][0] / 1024)
            if not attempts[number][1]:
                raise ConnectionError(str(number))
            return number
        finally:
            running -= 1

    async def main() -> tuple[float, int | None, int]:
        loop = asyncio.get_running_loop()
        winner: int | None = None
        try:
            winner = await Hedge(delay=delay / 1024, most=most, budget=None).call(service)
        except ConnectionError:
            pass
        assert running == 0
        return (loop.time() - 1000.0) * 1024, winner, begun

    assert run(main()) == pytest.approx(model(attempts, delay, most))


def answering(*seconds: float) -> Any:
    """A service whose first call takes so long, whose second so long, ..."""
    left = list(seconds)

    async def service() -> float:
        takes = left.pop(0)
        await asyncio.sleep(takes)
        return takes

    return service


def test_a_late_answer_is_asked_for_again() -> None:
    """The first to answer wins."""

    async def main() -> tuple[float, float]:
        hedge = Hedge(delay=0.5)
        answer = await hedge.call(answering(10.0, 1.0))
        statistics = hedge.statistics()
        assert (statistics.attempts, statistics.hedged, statistics.won) == (2, 1, 1)
        return answer, asyncio.get_running_loop().time() - 1000.0

    assert run(main()) == (1.0, 1.5)


def test_the_loser_has_cleaned_up_when_the_call_returns() -> None:
    """It is cancelled, and what it awaits in its finally is waited for."""
    log: list[str] = []

    async def service() -> str:
        if not log:
            log.append("first")
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(2)
                log.append("cleaned up")
        return "second"

    async def main() -> float:
        assert await Hedge(delay=1).call(service) == "second"
        assert log == ["first", "cleaned up"]
        assert len(asyncio.all_tasks()) == 1
        return asyncio.get_running_loop().time() - 1000.0

    assert run(main()) == 3.0


@pytest.mark.parametrize("how", ["cancel", "scope"])
def test_a_cancellation_ends_all_attempts(how: str) -> None:
    """Also by a scope, and nothing is left running."""
    cleaned = 0

    async def service() -> None:
        nonlocal cleaned
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(1)
            cleaned += 1

    async def main() -> float:
        if how == "scope":
            with hocket.move_on_after(5):
                await Hedge(delay=1, most=3).call(service)
        else:
            task = asyncio.ensure_future(Hedge(delay=1, most=3).call(service))
            await asyncio.sleep(5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert len(asyncio.all_tasks()) == 1
        return asyncio.get_running_loop().time() - 1000.0

    assert run(main()) == 6.0
    assert cleaned == 3


def test_a_failure_begins_the_next_attempt_at_once() -> None:
    """Unless it is one that another attempt would not help."""
    log: list[float] = []

    async def service() -> str:
        log.append(asyncio.get_running_loop().time() - 1000.0)
        if len(log) == 1:
            await asyncio.sleep(1)
            raise ConnectionError
        return "answer"

    assert run(Hedge(delay=30).call(service)) == "answer"
    assert log == [0.0, 1.0]
    log.clear()
    with pytest.raises(ConnectionError):
        run(Hedge(delay=30, on=TimeoutError).call(service))
    assert log == [0.0]


def test_a_budget_bounds_how_many_are_hedged() -> None:
    """A service that is slow throughout is not asked twice for everything."""
    calls = 0

    async def service() -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.001)

    async def main() -> None:
        hedge = Hedge(delay=0.0005, budget=RetryBudget(ratio=0.1, reserve=0.0))
        for _ in range(1000):
            await hedge.call(service)
        statistics = hedge.statistics()
        assert statistics.hedged == 100
        assert statistics.over_budget == 900

    run(main())
    assert calls == 1100


def test_the_delay_can_follow_the_service() -> None:
    """With a quantile it is how long that share of the calls takes."""

    async def main() -> tuple[float | None, float | None]:
        hedge = Hedge(delay=5.0, quantile=0.9, budget=None)
        before = hedge.statistics().delay
        for number in range(100):
            await hedge.call(asyncio.sleep, number / 100)
        return before, hedge.statistics().delay

    before, after = run(main())
    assert before == 5.0
    assert after == pytest.approx(0.9, abs=0.011)


def test_no_attempt_begins_past_the_deadline() -> None:
    """There would be nobody to have the answer."""
    calls = 0

    async def service() -> None:
        nonlocal calls
        calls += 1
        with hocket.CancelScope(shield=True):
            await asyncio.sleep(2)
        raise ConnectionError

    async def main() -> None:
        with pytest.raises(TimeoutError), hocket.fail_after(1):
            await Hedge(delay=0.6, most=5, budget=None).call(service)

    run(main())
    assert calls == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"delay": -1}, ValueError),
        ({"delay": float("inf")}, ValueError),
        ({"delay": 1, "most": 1}, ValueError),
        ({"delay": 1, "quantile": 0}, ValueError),
        ({"delay": 1, "quantile": 2}, ValueError),
        ({"delay": 1, "on": asyncio.CancelledError}, TypeError),
        ({"delay": 1, "budget": 1}, TypeError),
        ({}, TypeError),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """Where it is written."""
    with pytest.raises(error):
        Hedge(**options)
