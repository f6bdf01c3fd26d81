"""Retries: which failures, how often, after how long, and when not."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hocket
from hocket.resilience import Backoff, Decision, Pipeline, Refused, Retry, RetryBudget, Timeout, no_waiting, retry_after
from tests.virtual import run


class Service:
    """Fails so many times, and then answers; notes when it was called."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.called: list[float] = []

    async def __call__(self) -> str:
        self.called.append(asyncio.get_running_loop().time() - 1000.0)
        if self._failures:
            raise self._failures.pop(0)
        return "answer"


STEADY = Backoff(1.0, 8.0, jitter=False)


def test_it_tries_again_until_it_succeeds() -> None:
    """With delays that grow."""
    service = Service(*[ConnectionError() for _ in range(4)])
    assert run(Retry(attempts=5, backoff=STEADY).call(service)) == "answer"
    assert service.called == [0, 1, 3, 7, 15]


def test_it_gives_up_with_the_last_error() -> None:
    """After so many attempts."""
    errors = [ConnectionError(f"number {number}") for number in range(5)]
    service = Service(*errors)
    retry = Retry(attempts=3, backoff=STEADY)
    with pytest.raises(ConnectionError, match="number 2"):
        run(retry.call(service))
    statistics = retry.statistics()
    assert (statistics.calls, statistics.attempts, statistics.gave_up, statistics.exhausted) == (1, 3, 1, 1)
    assert statistics.waited == 3.0


def test_the_delay_is_drawn_evenly_up_to_the_ceiling() -> None:
    """Full jitter: between nothing and the whole of it."""
    backoff = Backoff(0.1, 5.0)
    generator = random.Random(1)
    for failures, ceiling in ((1, 0.1), (2, 0.2), (6, 3.2), (7, 5.0), (5000, 5.0)):
        delays = [backoff.delay(failures, generator) for _ in range(2000)]
        assert 0 <= min(delays) < 0.02 * ceiling
        assert 0.98 * ceiling < max(delays) <= ceiling
        assert sum(delays) / len(delays) == pytest.approx(ceiling / 2, rel=0.05)


@given(
    st.integers(1, 10), st.integers(0, 12), st.floats(0, 20), st.floats(0.1, 30), st.booleans(), st.integers(0, 2**32)
)
def test_it_never_goes_past_a_bound(attempts, failures, takes, within, by_scope, seed) -> None:
    """No attempt more than allowed, none that begins past the deadline, and no wait when there is none after it."""
    began: list[float] = []
    ended: list[float] = []
    left = failures

    async def service() -> None:
        nonlocal left
        began.append(asyncio.get_running_loop().time() - 1000.0)
        await asyncio.sleep(takes)
        if left:
            left -= 1
            raise ConnectionError

    options: dict[str, Any] = {} if by_scope else {"within": within}
    retry = Retry(attempts=attempts, random=random.Random(seed), budget=None, **options)

    async def main() -> None:
        try:
            with hocket.fail_after(within if by_scope else None):
                await retry.call(service)
        except (ConnectionError, TimeoutError):
            pass
        ended.append(asyncio.get_running_loop().time() - 1000.0)

    run(main())
    assert len(began) <= min(attempts, failures + 1)
    assert all(time < within for time in began)
    finished = min(began[-1] + takes, within) if by_scope else began[-1] + takes
    assert ended[0] == pytest.approx(finished, abs=1e-6)


def test_the_deadline_of_an_outer_timeout_holds() -> None:
    """It gives up at once with the real error, and does not wait for the timeout."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        pipeline = Pipeline(Timeout(2.5), Retry(attempts=10, backoff=STEADY))
        with pytest.raises(ConnectionError):
            await pipeline.call(Service(*[ConnectionError() for _ in range(10)]))
        return loop.time() - 1000.0

    assert run(main()) == 1.0


def test_a_cancellation_is_not_retried() -> None:
    """Neither of the call nor of a wait; whatever `on` says."""
    calls = 0

    async def service() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError
        await asyncio.sleep(60)

    async def main() -> None:
        for delay in (0.5, 1.5):
            task = asyncio.ensure_future(Retry(on=Exception, attempts=100, backoff=STEADY).call(service))
            await asyncio.sleep(delay)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())
    # The first task is cancelled in its wait after one call, the second in a call.
    assert calls == 2


def test_other_errors_are_not_retried() -> None:
    """By default connections that break and time limits are what may pass."""
    for error, expected in ((ValueError(), 1), (FileNotFoundError(), 1), (TimeoutError(), 2), (BrokenPipeError(), 2)):
        service = Service(error)
        if expected == 1:
            with pytest.raises(type(error)):
                run(Retry().call(service))
        else:
            assert run(Retry().call(service)) == "answer"
        assert len(service.called) == expected


class Busy(ConnectionError):
    pass


@pytest.mark.parametrize(
    ("rules", "error", "times"),
    [
        ({ConnectionError: True}, Busy, [0, 1, 3, 7]),
        ({ConnectionError: True, Busy: False}, Busy, [0]),
        ({ConnectionError: 2, Busy: 3}, Busy, [0, 1, 3]),
        ({ConnectionError: 2, Busy: 3}, ConnectionError, [0, 1]),
        ({ConnectionError: True, Busy: Backoff(5, 5, jitter=False)}, Busy, [0, 5, 10, 15]),
        ({ConnectionError: True}, ValueError, [0]),
        ({Busy: 9}, Busy, [0, 1, 3, 7]),
    ],
)
def test_each_class_has_a_rule(rules: dict[Any, Any], error: type[Exception], times: list[float]) -> None:
    """The most specific one counts."""
    service = Service(*[error() for _ in range(20)])
    with pytest.raises(error):
        run(Retry(on=rules, attempts=4, backoff=STEADY).call(service))
    assert service.called == times


def test_a_function_decides() -> None:
    """Whether, or in how many seconds."""

    def decide(error: Exception) -> bool | float:
        return {"no": False, "yes": True, "in three": 3.0}[str(error)]

    service = Service(OSError("yes"), OSError("in three"), OSError("no"))
    with pytest.raises(OSError, match="no"):
        run(Retry(on=decide, attempts=9, backoff=STEADY).call(service))
    assert service.called == [0, 1, 4]


def test_a_result_can_be_a_failure() -> None:
    """The last one is returned in the end."""
    answers = [503, 503, 200]

    async def service() -> int:
        return answers.pop(0)

    retry = Retry(results=lambda status: status >= 500, backoff=STEADY)
    assert run(retry.call(service)) == 200
    answers += [503, 502, 501]
    assert run(retry.call(service)) == 501
    assert retry.statistics().recovered == 1


# -- Retry-After


class Response:
    def __init__(self, **headers: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class HTTPError(ConnectionError):
    def __init__(self, response: Response | None = None, **attributes: Any) -> None:
        super().__init__()
        self.response = response
        for name, value in attributes.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (HTTPError(), None),
        (HTTPError(retry_after=3), 3.0),
        (HTTPError(retry_after=timedelta(minutes=1)), 60.0),
        (HTTPError(retry_after=-1), None),
        (HTTPError(retry_after=float("inf")), None),
        (HTTPError(retry_after="soon"), None),
        (HTTPError(Response(Retry_After="7")), 7.0),
        (HTTPError(headers={"retry-after": " 8 "}), 8.0),
        (HTTPError(Response(Retry_After="-3")), None),
        (HTTPError(Response(Retry_After="soon")), None),
        (HTTPError(Response(Retry_After="Wed, 21 Oct 2015 07:28:30 GMT")), None),
        (HTTPError(Response(Retry_After="Wed, 21 Oct 2015 07:28:30 GMT", Date="Wed, 21 Oct 2015 07:28:00 GMT")), 30.0),
        (HTTPError(Response(Retry_After="Wed, 21 Oct 2015 07:28:30 GMT", Date="Wed, 21 Oct 2015 08:28:00 GMT")), 0.0),
        (HTTPError(Response(Retry_After="Wed, 21 Oct 2015 07:28:30 GMT", Date="yesterday")), None),
        (Refused("no", retry_after=2.5), 2.5),
    ],
)
def test_what_the_other_side_asks_for(error: Exception, seconds: float | None) -> None:
    """By attribute or by header; a date counts from the answer's own."""
    assert retry_after(error) == seconds


def test_it_waits_for_as_long_as_it_was_asked_to() -> None:
    """Instead of its own delay, and with some jitter on top."""
    service = Service(HTTPError(retry_after=10), HTTPError(Response(Retry_After="20")))
    run(Retry(backoff=Backoff(0.5, 5.0)).call(service))
    first, second, third = service.called
    assert first + 10 <= second <= first + 10.5
    assert second + 20 <= third <= second + 20.5


@pytest.mark.parametrize("options", [{"patience": 9}, {"within": 9.0}])
def test_it_does_not_wait_for_too_long(options: dict[str, Any]) -> None:
    """What the other side asks for is no reason to hang, or to miss a deadline."""
    service = Service(HTTPError(retry_after=10))
    retry = Retry(backoff=STEADY, **options)
    with pytest.raises(HTTPError):
        run(retry.call(service))
    assert service.called == [0]
    assert retry.statistics().too_late == 1


# -- Budgets


def test_a_budget_bounds_all_retries_together() -> None:
    """When everything fails, a fifth of the calls is repeated, and no more."""
    calls = 0

    async def service() -> None:
        nonlocal calls
        calls += 1
        raise ConnectionError

    budget = RetryBudget(ratio=0.2, reserve=0.0)
    retries = [Retry(attempts=5, budget=budget), Retry(attempts=3, budget=budget)]

    async def main() -> None:
        for number in range(1000):
            with pytest.raises(ConnectionError):
                await retries[number % 2].call(service)

    with no_waiting():
        run(main())
    assert calls == 1200
    assert sum(retry.statistics().over_budget for retry in retries) > 700


def test_every_retry_has_a_budget_unless_told_otherwise() -> None:
    """That is the default, and None turns it off."""
    assert isinstance(Retry().budget, RetryBudget)
    assert Retry(budget=None).budget is None
    with pytest.raises(TypeError, match="budget is a RetryBudget or None"):
        Retry(budget=3)


# -- The loop


def test_a_block_is_repeated_in_a_loop() -> None:
    """For what is no function."""
    service = Service(ConnectionError(), ConnectionError())
    retry = Retry(backoff=STEADY)

    async def main() -> tuple[str, list[int]]:
        numbers = []
        async for attempt in retry:
            with attempt:
                numbers.append(attempt.number)
                answer = await service()
        return answer, numbers

    assert run(main()) == ("answer", [1, 2, 3])
    assert service.called == [0, 1, 3]
    statistics = retry.statistics()
    assert (statistics.calls, statistics.attempts, statistics.recovered) == (1, 3, 1)


def test_the_loop_lets_go_of_what_it_does_not_take() -> None:
    """The last error, another error, a cancellation; and leaving it early leaves nothing behind."""
    service = Service(*[ConnectionError() for _ in range(5)])

    async def main() -> str:
        with pytest.raises(ConnectionError):
            async for attempt in Retry(attempts=2, backoff=STEADY):
                with attempt:
                    await service()
        with pytest.raises(LookupError):
            async for attempt in Retry():
                with attempt:
                    raise LookupError
        async for attempt in Retry():
            with attempt:
                return "left early"
        raise AssertionError

    assert run(main()) == "left early"
    assert len(service.called) == 2


def test_a_loop_without_with_is_a_mistake() -> None:
    """It would run for ever."""

    async def main() -> None:
        async for _ in Retry():
            pass

    with pytest.raises(RuntimeError, match="with attempt"):
        run(main())


# -- The rest


def test_the_switch_turns_the_waiting_off() -> None:
    """Everything else stays: attempts, budgets, errors."""
    service = Service(*[HTTPError(retry_after=30) for _ in range(5)])
    with no_waiting(), pytest.raises(HTTPError):
        run(Retry(attempts=4, backoff=STEADY).call(service))
    assert service.called == [0, 0, 0, 0]


def test_it_tells_what_it_decides() -> None:
    """Each retry with error, delay and number; and how it ended."""
    heard: list[Decision] = []
    retry = Retry(backoff=STEADY)
    retry.listen(heard.append)
    run(retry.call(Service(ConnectionError("one"), TimeoutError("two"))))
    with pytest.raises(ConnectionError):
        run(retry.call(Service(*[ConnectionError() for _ in range(3)])))
    assert [(decision.what, decision.seconds, decision.number) for decision in heard] == [
        ("retry", 1.0, 1),
        ("retry", 2.0, 2),
        ("recovered", None, 3),
        ("retry", 1.0, 1),
        ("retry", 2.0, 2),
        ("gave-up", None, 3),
    ]
    assert str(heard[0].error) == "one"


def test_no_cycle_keeps_what_a_failed_call_held() -> None:
    """What the frames of a failure refer to goes when nobody has the error any more."""
    import gc
    import weakref

    class Thing:
        pass

    things: list[weakref.ref[Thing]] = []

    async def service() -> None:
        thing = Thing()
        things.append(weakref.ref(thing))
        raise ConnectionError

    async def main() -> None:
        gc.disable()
        try:
            with no_waiting(), pytest.raises(ConnectionError):
                await Retry(attempts=2).call(service)
            assert things[0]() is None
        finally:
            gc.enable()

    run(main())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"attempts": None}, ValueError),
        ({"attempts": 0}, ValueError),
        ({"attempts": 2.5}, TypeError),
        ({"within": 0}, ValueError),
        ({"on": asyncio.CancelledError}, TypeError),
        ({"on": BaseException}, TypeError),
        ({"on": (OSError, KeyboardInterrupt)}, TypeError),
        ({"on": {}}, ValueError),
        ({"on": {OSError: "yes"}}, TypeError),
        ({"on": {OSError: 0}}, ValueError),
        ({"on": 3}, TypeError),
        ({"backoff": 3}, TypeError),
        ({"patience": -1}, ValueError),
        ({"results": 200}, TypeError),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """Most of all a retry without a bound."""
    with pytest.raises(error, match="Retry"):
        Retry(**options)


@pytest.mark.parametrize("options", [{"initial": -1}, {"initial": 9}, {"factor": 0.5}, {"longest": float("inf")}])
def test_a_backoff_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    """Where it is written."""
    with pytest.raises(ValueError, match="Backoff"):
        Backoff(**options)
