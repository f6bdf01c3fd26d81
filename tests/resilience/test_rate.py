"""Rate limiters: exact, against a model in rational numbers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hocket
from hocket.resilience import LeakyBucket, RateLimited, RateLimiter, no_waiting
from tests.virtual import run

SIXTEENTH = Fraction(1, 16)


@dataclass
class Caller:
    """Somebody who comes at a time and wants so much, and perhaps goes again before it is his turn.  In sixteenths."""

    comes: int
    amount: int
    goes_after: int | None

    @property
    def time(self) -> Fraction:
        return self.comes * SIXTEENTH

    @property
    def leaves(self) -> Fraction | None:
        # Never in the very moment of a turn.
        return None if self.goes_after is None else self.time + self.goes_after * SIXTEENTH + SIXTEENTH / 4


def model(
    callers: list[Caller], interval: Fraction, burst: int, longest: Fraction, waiting: int, leaky: bool
) -> list[tuple[str, Fraction]]:
    """What becomes of each caller: (granted, when), (refused, by how much he came too early) or (gone, when)."""
    level = Fraction(-1)
    left = Fraction(-1)  # when somebody has left the line last: those behind are served after that moment
    line: list[int] = []
    fates: dict[int, tuple[str, Fraction]] = {}

    def due(index: int) -> Fraction:
        amount = callers[index].amount
        return level + (amount - (amount if leaky else burst)) * interval

    def serve(until: Fraction) -> None:
        nonlocal level
        while line and due(line[0]) <= until and left < until:
            index = line.pop(0)
            when = max(due(index), callers[index].time, left)
            level = max(level, when) + callers[index].amount * interval
            fates[index] = ("granted", when)

    happenings = [(caller.time, 1, index) for index, caller in enumerate(callers)]
    happenings += [(caller.leaves, 0, index) for index, caller in enumerate(callers) if caller.leaves is not None]
    for time, kind, index in sorted(happenings):
        serve(time)
        if kind == 0:
            if index in line:
                line.remove(index)
                left = time
                fates[index] = ("gone", time)
            continue
        amount = callers[index].amount
        owed = sum(callers[other].amount for other in line) + amount
        delay = max(level, time) + (owed - (amount if leaky else burst)) * interval - time
        if delay <= 0 and not line:
            level = max(level, time) + amount * interval
            fates[index] = ("granted", time)
        elif delay > longest or len(line) >= waiting:
            fates[index] = ("refused", delay)
        else:
            line.append(index)
    serve(Fraction(10**9))
    return [fates[index] for index in range(len(callers))]


def observe(callers: list[Caller], limiter: RateLimiter) -> list[tuple[str, float]]:
    """What becomes of them in truth."""
    fates: list[Any] = [None] * len(callers)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def come(index: int, caller: Caller) -> None:
            try:
                await limiter.acquire(caller.amount)
                fates[index] = ("granted", loop.time() - began)
            except RateLimited as refused:
                fates[index] = ("refused", refused.retry_after)
            except asyncio.CancelledError:
                fates[index] = ("gone", loop.time() - began)

        tasks: list[asyncio.Task[None]] = []

        def start(index: int, caller: Caller) -> None:
            task = loop.create_task(come(index, caller))
            tasks.append(task)
            if caller.leaves is not None:
                loop.call_at(began + float(caller.leaves), task.cancel)

        for index, caller in enumerate(callers):
            loop.call_at(began + float(caller.time), start, index, caller)
        await asyncio.sleep(float(max(caller.time for caller in callers)) + 1)
        await asyncio.gather(*tasks, return_exceptions=True)

    run(main())
    return fates


CALLERS = st.lists(
    st.builds(Caller, st.integers(0, 64), st.integers(1, 4), st.none() | st.integers(0, 48)), min_size=1, max_size=25
).map(lambda callers: sorted(callers, key=lambda caller: caller.comes))


def agree(seen: list[tuple[str, float]], expected: list[tuple[str, Fraction]]) -> None:
    assert [what for what, _ in seen] == [what for what, _ in expected]
    for (_, one), (_, other) in zip(seen, expected, strict=True):
        assert abs(one - float(other)) < 1e-6


@given(CALLERS, st.integers(1, 16), st.integers(4, 9), st.integers(0, 80), st.integers(0, 10))
def test_a_token_bucket_gives_to_each_what_the_model_says(callers, interval, burst, longest, waiting) -> None:
    """Who is let through, when to the nanosecond, who is refused, and for how long; with cancellations in between."""
    limiter = RateLimiter(16, per=interval, burst=burst, longest_wait=longest / 16, waiting=waiting)
    expected = model(callers, interval * SIXTEENTH, burst, longest * SIXTEENTH, waiting, leaky=False)
    agree(observe(callers, limiter), expected)


@given(CALLERS, st.integers(1, 16), st.integers(0, 80), st.integers(0, 10))
def test_a_leaky_bucket_gives_to_each_what_the_model_says(callers, interval, longest, capacity) -> None:
    """The same, one by one at an even pace."""
    bucket = LeakyBucket(16, per=interval, longest_wait=longest / 16, capacity=capacity)
    expected = model(callers, interval * SIXTEENTH, 1, longest * SIXTEENTH, capacity, leaky=True)
    agree(observe(callers, bucket), expected)


@pytest.mark.parametrize(("rate", "per", "burst"), [(100, 1, 1), (100, 1, 20), (7, 3, 7), (10_000, 60, 50)])
def test_no_more_than_the_rate_and_not_less(rate: int, per: int, burst: int) -> None:
    """In no stretch of time are there more calls than rate and burst allow, and a busy limiter gives the whole rate."""
    times: list[float] = []

    async def main() -> None:
        limiter = RateLimiter(rate, per=per, burst=burst, longest_wait=1e6, waiting=10**6)
        loop = asyncio.get_running_loop()

        async def come() -> None:
            await limiter.acquire()
            times.append(loop.time())

        await asyncio.gather(*(come() for _ in range(1000)))

    run(main())
    interval = per / rate
    for count in (1, 10, 100, 999):
        least = min(later - earlier for earlier, later in zip(times, times[count:], strict=False))
        assert least >= (count - burst) * interval - 1e-6
    assert times[-1] - times[0] == pytest.approx((1000 - burst) * interval, abs=1e-6)


def test_who_waits_is_served_first_come_first_served() -> None:
    """Also somebody who wants little does not overtake one who wants much."""
    order: list[str] = []

    async def main() -> None:
        limiter = RateLimiter(1, burst=5)
        limiter.acquire_nowait(5)

        async def take(name: str, amount: float) -> None:
            await limiter.acquire(amount)
            order.append(name)

        much = asyncio.ensure_future(take("much", 5))
        await asyncio.sleep(1)
        little = asyncio.ensure_future(take("little", 1))
        await asyncio.gather(much, little)

    run(main())
    assert order == ["much", "little"]


def test_nobody_waits_past_his_deadline() -> None:
    """Whose turn comes after it is refused at once, and takes nothing."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        limiter = RateLimiter(1, burst=1)
        await limiter.acquire()
        began = loop.time()
        with pytest.raises(RateLimited) as refused, hocket.fail_after(0.5):
            await limiter.acquire()
        assert loop.time() == began
        with hocket.fail_after(1.5):
            await limiter.acquire()
        assert refused.value.retry_after is not None
        return refused.value.retry_after, loop.time() - began

    assert run(main()) == (1.0, 1.0)


def test_it_never_waits_if_it_may_not() -> None:
    """With longest_wait=0, and by acquire_nowait, whoever comes too early is refused."""

    async def main() -> None:
        limiter = RateLimiter(10, burst=2, longest_wait=0)
        await limiter.acquire()
        limiter.acquire_nowait()
        with pytest.raises(RateLimited, match=r"10 calls in 1 s: the next in 0\.1 s"):
            await limiter.acquire()
        with pytest.raises(RateLimited):
            limiter.acquire_nowait()
        statistics = limiter.statistics()
        assert (statistics.admitted, statistics.delayed, statistics.refused) == (2, 0, 2)
        await asyncio.sleep(0.1)
        limiter.acquire_nowait()

    run(main())


def test_the_statistics_say_how_many_could_go_now() -> None:
    """What is in the bucket, less what those in line will take."""

    async def main() -> list[float]:
        limiter = RateLimiter(10, burst=4)
        seen = [limiter.statistics().available]
        limiter.acquire_nowait(3)
        seen.append(limiter.statistics().available)
        await asyncio.sleep(0.1)
        seen.append(limiter.statistics().available)
        await asyncio.sleep(10)
        seen.append(limiter.statistics().available)
        return seen

    assert run(main()) == pytest.approx([4.0, 1.0, 2.0, 4.0])


def test_the_switch_lets_everybody_through() -> None:
    """Without waiting a limiter only counts."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        limiter = RateLimiter(1)
        with no_waiting():
            for _ in range(10):
                await limiter.acquire()
                limiter.acquire_nowait()
        assert limiter.statistics().admitted == 20
        return loop.time() - began

    assert run(main()) == 0.0


def test_a_turn_that_comes_in_the_step_of_a_cancellation_is_passed_on() -> None:
    """Nothing is lost: whoever is next in line has it instead."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        limiter = RateLimiter(1, burst=1)
        await limiter.acquire()
        first = asyncio.ensure_future(limiter.acquire())
        second = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        # Its timer is older than this one, so the turn has come when the cancellation does.
        loop.call_at(began + 1.0, first.cancel)
        await second
        return [loop.time() - began, first.cancelled()]

    assert run(main()) == [1.0, True]


@pytest.mark.parametrize("kind", [RateLimiter, LeakyBucket])
@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_is_a_number(kind: type[RateLimiter], rate: float) -> None:
    """More than 0, and finite: without a bound it would be no limiter."""
    with pytest.raises(ValueError, match="rate"):
        kind(rate)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"per": 0}, ValueError),
        ({"burst": 0.5}, ValueError),
        ({"longest_wait": -1}, ValueError),
        ({"waiting": -1}, ValueError),
        ({"waiting": "many"}, TypeError),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """Where it is written."""
    with pytest.raises(error):
        RateLimiter(10, **options)


def test_nobody_can_take_more_than_there_ever_is() -> None:
    """He would wait for ever."""

    async def main() -> None:
        limiter = RateLimiter(10, burst=3)
        with pytest.raises(ValueError, match="3 go at once, and never 4"):
            limiter.acquire(4)
        with pytest.raises(ValueError, match="amount"):
            limiter.acquire_nowait(0)

    run(main())
