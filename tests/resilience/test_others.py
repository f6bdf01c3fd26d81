"""Timeout, fallback, load shedding, and the faults that are injected for tests."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

import hocket
from hocket.resilience import (
    Fallback,
    Importance,
    InjectError,
    InjectHang,
    InjectLatency,
    InjectResult,
    LoadShedder,
    LoopDelay,
    Overloaded,
    Pipeline,
    Retry,
    Timeout,
    current_importance,
    importance,
    no_waiting,
)
from tests.virtual import VirtualDriver, run


async def answer() -> str:
    return "answer"


# -- Timeout


def test_a_call_that_takes_too_long_is_cancelled() -> None:
    """With the builtin TimeoutError, which comes from the cancellation."""

    async def main() -> float:
        timeout = Timeout(2)
        with pytest.raises(TimeoutError):
            await timeout.call(asyncio.sleep, 60)
        async with timeout:
            await asyncio.sleep(1)
        assert (timeout.statistics().calls, timeout.statistics().expired) == (2, 1)
        return asyncio.get_running_loop().time() - 1000.0

    assert run(main()) == 3.0


def test_calls_below_know_of_the_deadline() -> None:
    """As of that of any scope, and the earliest counts."""
    deadlines: list[float] = []

    async def look() -> None:
        deadlines.append(hocket.current_effective_deadline() - 1000.0)

    async def main() -> None:
        await Pipeline(Timeout(5), Retry(), Timeout(3)).call(look)
        await Pipeline(Timeout(2), Timeout(4)).call(look)

    run(main())
    assert deadlines == [3.0, 2.0]


def test_each_attempt_and_the_whole_have_a_limit() -> None:
    """One timeout outside of the retry, one inside."""
    began: list[float] = []

    async def hang() -> None:
        began.append(asyncio.get_running_loop().time() - 1000.0)
        await asyncio.sleep(60)

    async def main() -> float:
        with no_waiting(), pytest.raises(TimeoutError):
            await Pipeline(Timeout(2.5), Retry(attempts=10), Timeout(1)).call(hang)
        return asyncio.get_running_loop().time() - 1000.0

    assert run(main()) == 2.5
    assert began == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_timeout_has_an_end(seconds: float) -> None:
    """More than 0, and finite."""
    with pytest.raises(ValueError, match="Timeout: seconds"):
        Timeout(seconds)
    with pytest.raises(TypeError):
        Timeout("1")  # type: ignore[arg-type]


# -- Fallback


def test_a_failure_is_answered_otherwise() -> None:
    """By a value, by what a function makes of the error, or by what is awaited for that."""

    async def fail() -> None:
        raise OSError("down")

    async def later(error: Exception) -> str:
        await asyncio.sleep(1)
        return f"later: {error}"

    assert run(Fallback(None).call(fail)) is None
    assert run(Fallback(make=lambda error: f"made: {error}").call(fail)) == "made: down"
    assert run(Fallback(make=later).call(fail)) == "later: down"
    fallback = Fallback("other", on=OSError)
    assert run(fallback.call(answer)) == "answer"
    assert (fallback.statistics().calls, fallback.statistics().used) == (1, 0)


def test_a_fallback_that_fails_is_heard() -> None:
    """Its error comes through, with the first as its context."""

    async def fail() -> None:
        raise OSError("down")

    def broken(error: Exception) -> None:
        raise LookupError("no cache")

    with pytest.raises(LookupError) as raised:
        run(Fallback(make=broken).call(fail))
    assert isinstance(raised.value.__context__, OSError)


@pytest.mark.parametrize(
    ("args", "options"), [((), {}), ((1,), {"make": answer}), ((), {"make": 3}), ((1,), {"on": KeyboardInterrupt})]
)
def test_a_fallback_is_one_thing(args: Any, options: Any) -> None:
    """A value or a function, for exceptions that are failures."""
    with pytest.raises(TypeError):
        Fallback(*args, **options)


# -- Load shedding


class Queue:
    """A server with a queue in front, as a fluid: what is admitted above its rate waits."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.waiting = 0.0

    def delay(self) -> float:
        return self.waiting / self.rate


RATE = 200.0


@pytest.mark.parametrize("load", [0.5, 0.95, 1.5, 4.0])
def test_shedding_keeps_the_delay_down_and_the_server_busy(load: float) -> None:
    """What is refused is what is too much: the rest is served, and not late."""
    queue = Queue(rate=RATE)
    driver = VirtualDriver()
    generator = random.Random(1)
    delays: list[float] = []
    admitted = 0

    async def main() -> None:
        nonlocal admitted
        shedder = LoadShedder(target=0.05, delay=queue.delay, random=generator)
        step = 1 / (RATE * load)
        for number in range(int(40 / step)):
            driver.advance(step)
            queue.waiting = max(queue.waiting - step * queue.rate, 0.0)
            try:
                async with shedder:
                    queue.waiting += 1
                    admitted += number * step > 10
            except Overloaded:
                pass
            if number * step > 10:
                delays.append(queue.delay())

    run(main(), driver=driver)
    # Of the 30 seconds after it has settled.
    assert admitted / 30 >= 0.95 * RATE * min(load, 1.0)
    assert sum(delays) / len(delays) < 0.08
    if load < 1:
        assert admitted == pytest.approx(30 * RATE * load, abs=2)


def test_a_short_burst_is_borne() -> None:
    """Nothing is refused before it has lasted."""
    driver = VirtualDriver()
    late = 0.0

    async def main() -> int:
        nonlocal late
        shedder = LoadShedder(target=0.05, burst=0.15, delay=lambda: late)
        for number in range(200):
            driver.advance(0.01)
            late = 0.4 if 50 <= number < 60 else 0.0
            async with shedder:
                pass
        return shedder.statistics().refused

    assert run(main(), driver=driver) == 0


def test_what_matters_less_is_refused_first() -> None:
    """Of sheddable calls all before a critical one."""
    driver = VirtualDriver()
    served = dict.fromkeys(Importance, 0)
    queue = Queue(rate=500.0)

    async def main() -> None:
        shedder = LoadShedder(target=0.05, delay=queue.delay, random=random.Random(2))
        for number in range(24_000):
            driver.advance(1 / 900)
            queue.waiting = max(queue.waiting - 500 / 900, 0.0)
            level = Importance(number % 3)
            with importance(level):
                assert current_importance() is level
                try:
                    async with shedder:
                        queue.waiting += 1
                        served[level] += number > 9_000
                except Overloaded:
                    pass

    run(main(), driver=driver)
    total = 15_000 / 3
    assert served[Importance.CRITICAL] > 0.97 * total
    assert served[Importance.NORMAL] == pytest.approx(0.55 * total, rel=0.15)
    assert served[Importance.SHEDDABLE] < 0.25 * total
    with pytest.raises(TypeError, match="expected an Importance"):
        with importance(2):  # type: ignore[arg-type]
            pass


def test_the_loop_says_how_late_it_is() -> None:
    """For how long what was ready has waited, since the last look; in real time."""

    async def block() -> None:
        time.sleep(0.02)

    async def main() -> tuple[float, float, float]:
        await asyncio.sleep(0)  # How long it takes to make a loop counts in the first step.
        delay = LoopDelay()
        delay()
        await asyncio.sleep(0.01)
        idle = delay()
        await asyncio.gather(*(block() for _ in range(5)))
        busy = delay()
        return idle, busy, delay()

    idle, busy, again = hocket.run(main())
    # The five waited for 0, 20, 40, 60 and 80 ms; and there were others, who had to wait little.
    assert busy > 0.015
    assert idle < busy
    assert again < busy


def test_elsewhere_no_delay_is_known() -> None:
    """On a loop that does not count it, nothing is refused for it."""

    async def main() -> float:
        return LoopDelay()()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(main()) == 0.0


@pytest.mark.parametrize("options", [{"target": 0}, {"target": -1}, {"burst": -1}, {"delay": 3}])
def test_a_shedder_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    """Where it is written."""
    with pytest.raises((TypeError, ValueError), match="LoadShedder"):
        LoadShedder(**options)


# -- Chaos


def share_of(policy: Any, calls: int = 2000) -> float:
    """In how many of the calls there was no answer."""

    async def main() -> float:
        wrong = 0
        for _ in range(calls):
            try:
                wrong += await policy.call(answer) != "answer"
            except ConnectionError:
                wrong += 1
        return wrong / calls

    return run(main())


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_faults_come_as_often_as_they_should(rate: float) -> None:
    """And the same ones with the same seed."""
    for make in (
        lambda: InjectError(rate, random=random.Random(1)),
        lambda: InjectResult(rate, "wrong", random=random.Random(1)),
    ):
        policy = make()
        assert share_of(policy) == pytest.approx(rate, abs=0.03)
        assert policy.statistics().calls == 2000
        assert policy.statistics().injected == share_of(make()) * 2000
    assert share_of(InjectError(rate, enabled=False)) == 0


def test_latency_and_hangs() -> None:
    """A delay, or a peer that has vanished; both end with a timeout."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        assert await InjectLatency(1.0, 2.0, 2.0).call(answer) == "answer"
        async with InjectLatency(1.0, 1.0):
            pass
        with pytest.raises(TimeoutError):
            await Pipeline(Timeout(4), InjectHang(1.0)).call(answer)
        with no_waiting():
            await InjectLatency(1.0, 60).call(answer)
        return loop.time() - 1000.0

    assert run(main()) == 7.0


def test_retries_get_through_faults() -> None:
    """What chaos is for."""

    async def main() -> int:
        faults = InjectError(0.3, TimeoutError, random=random.Random(3))
        pipeline = Pipeline(Retry(attempts=8, budget=None), faults)
        answers = [await pipeline.call(answer) for _ in range(200)]
        assert answers == ["answer"] * 200
        return faults.statistics().injected

    assert run(main()) > 50


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: InjectError(1.1), ValueError),
        (lambda: InjectError(-0.1), ValueError),
        (lambda: InjectError(0.1, asyncio.CancelledError), TypeError),
        (lambda: InjectError(0.1, "error"), TypeError),
        (lambda: InjectLatency(0.1, 2, 1), ValueError),
        (lambda: InjectLatency(0.1, -1), ValueError),
    ],
)
def test_chaos_that_makes_no_sense_is_refused(make: Any, error: type[Exception]) -> None:
    """Where it is written."""
    with pytest.raises(error):
        make()
