"""`Retry`: make a call again that has failed in a way that may pass."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hocket.primitives.sleep import sleep
from hocket.resilience import patience
from hocket.resilience import retry_budget as budgets
from hocket.resilience.policy import Policy, now_here
from hocket.resilience.retry_budget import RetryBudget
from hocket.resilience.retry_header import retry_after
from hocket.structured import checks
from hocket.structured.backoff import Backoff
from hocket.structured.randomness import randomness
from hocket.structured.scopes import deadline_here

if TYPE_CHECKING:
    from hocket.resilience.statistics import RetryStatistics

_OWN = object()

#: What a rule says of a class of exceptions: do not try again, or as the policy does, or at most so many attempts, or
#: with another backoff.
Rule = bool | int | Backoff

#: Says of one exception whether to try again: no, yes, or in how many seconds.
Decide = Callable[[Exception], "bool | float"]


class Retry(Policy):
    """Makes a call up to *attempts* times, as long as it fails in a way that may pass.

    *on* says which failures those are: a class, a tuple of classes, a function of the exception that gives whether, or
    in how many seconds, to try again, or a mapping of classes to rules, of which the most specific class counts::

        Retry(on={ConnectionError: True, Busy: Backoff(initial=1.0), BadRequest: False, OSError: 2})

    A rule is False (never), True (as the policy), a number (so many attempts at most) or a `Backoff`.  The default is
    `ConnectionError` and `TimeoutError`.  *results* is for calls that fail without raising: a function that says
    whether a result is a failure; the last one is returned in the end.

    Between attempts it waits by *backoff*, 0.1 s to 5 s with full jitter by default, or for as long as the other side
    has asked for (`hocket.resilience.retry_after`), plus that jitter.  It gives up, with the exception of the last
    attempt,

    - after *attempts*, or when *within* seconds have passed since the call began (one of both is required);
    - at once, without waiting, when the next attempt would begin past the deadline that holds for the task;
    - when the other side asks for more than *patience* seconds;
    - when *budget* is spent.  By default each `Retry` has one of its own, which lets a fifth of the calls be repeated
      and ten a second; pass one to share it, or None to go without.

    A cancellation is never retried, and ends a wait.  Only repeat what may be done twice::

        @Retry(attempts=3)
        async def fetch(url): ...

    As decorator and stage.  A block runs once, so instead of ``async with`` there is a loop::

        async for attempt in Retry(attempts=3):
            with attempt:
                answer = await fetch(url)

    Decisions: ``retry`` (error, seconds: the delay, number: of the attempt that failed), ``recovered``, ``gave-up``
    (error, number).  Defaults after stamina and the AWS SDKs.
    """

    no_block = "a block of code cannot be run twice; use `async for attempt in retry: with attempt: ...`"

    def __init__(
        self,
        *,
        on: Any = (ConnectionError, TimeoutError),
        attempts: int | None = 3,
        within: float | None = None,
        backoff: Backoff | None = None,
        budget: RetryBudget | object | None = _OWN,
        results: Callable[[Any], bool] | None = None,
        patience: float = 60.0,
        random: random.Random | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if attempts is None and within is None:
            raise ValueError("Retry: without attempts or within it would go on for ever")
        self.attempts = None if attempts is None else checks.positive_int("Retry", "attempts", attempts)
        self.within = None if within is None else checks.seconds("Retry", "within", within, zero=False)
        self.backoff = Backoff() if backoff is None else backoff
        if not isinstance(self.backoff, Backoff):
            raise TypeError(f"Retry: backoff is a Backoff, got {backoff!r}")
        self.patience = checks.seconds("Retry", "patience", patience)
        self.budget = RetryBudget() if budget is _OWN else budgets.checked("Retry", budget)
        if results is not None and not callable(results):
            raise TypeError(f"Retry: results is a function of a result, got {results!r}")
        self._results = results
        self._rules, self._decide = _rules_of(on)
        self._random = random
        self._calls = 0
        self._retries = 0
        self._recovered = 0
        self._exhausted = 0
        self._too_late = 0
        self._over_budget = 0
        self._waited = 0.0

    def statistics(self) -> RetryStatistics:
        """What it has done so far."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.RetryStatistics(
            self._calls,
            self._calls + self._retries,
            self._recovered,
            self._exhausted + self._too_late + self._over_budget,
            self._exhausted,
            self._too_late,
            self._over_budget,
            self._waited,
            None if self.budget is None else self.budget.statistics(),
        )

    async def run(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Await ``call()`` until it succeeds or this policy gives up."""
        return await self.bind(call)()

    def bind(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A coroutine function that calls *function* until it succeeds or this policy gives up."""
        note_call = None if self.budget is None else self.budget.call
        results = self._results

        async def call_retried(*args: Any, **kwargs: Any) -> Any:
            self._calls += 1
            if note_call is not None:
                note_call()
            began = -1.0 if self.within is None else now_here()
            result = failure = None
            try:
                result = await function(*args, **kwargs)
                if results is None or not results(result):
                    return result
            except Exception as error:
                failure = error
            try:
                return await self._again(partial(function, *args, **kwargs), result, failure, began)
            finally:
                failure = None  # its traceback holds this frame: a cycle

        return call_retried

    async def _again(
        self, call: Callable[[], Awaitable[Any]], result: Any, failure: Exception | None, began: float
    ) -> Any:
        """Go on after an attempt that has failed, with *failure*, or if that is None with *result*."""
        failures = 1
        while True:
            try:
                delay = self._delay(failure, failures, began)
                if delay is None:
                    if failure is None:
                        return result
                    raise failure
            finally:
                failure = None
            await self._wait(delay)
            try:
                result = await call()
                if self._results is None or not self._results(result):
                    self._note_recovery(failures)
                    return result
            except Exception as error:
                failure = error
            failures += 1

    def __aiter__(self) -> Attempts:
        return Attempts(self)

    # -- Deciding

    def _delay(self, failure: Exception | None, failures: int, began: float) -> float | None:
        """How long to wait after *failures* in a row, the last of them *failure* (None: a result); None: give up."""
        decided: bool | float = True
        backoff = self.backoff
        attempts = self.attempts
        if failure is not None:
            if self._decide is not None:
                decided = self._decide(failure)
            else:
                rule = self._rule_for(failure)
                if isinstance(rule, Backoff):
                    backoff = rule
                elif isinstance(rule, bool):
                    decided = rule
                else:
                    attempts = rule if attempts is None else min(rule, attempts)
        if decided is False or decided is None:
            return None
        now = now_here()
        if attempts is not None and failures >= attempts:
            self._exhausted += 1
            self._give_up(now, failure, failures)
            return None
        generator = randomness() if self._random is None else self._random
        delay = backoff.delay(failures, generator)
        if not isinstance(decided, bool):
            delay = checks.seconds("Retry", "what `on` gave", decided)
        elif failure is not None:
            asked = retry_after(failure)
            if asked is not None:
                # Not before that, and not everybody in the same moment.
                delay = asked + (generator.uniform(0.0, backoff.initial) if backoff.jitter else 0.0)
                if asked > self.patience:
                    self._too_late += 1
                    self._give_up(now, failure, failures, asked)
                    return None
        if not patience.waits():
            delay = 0.0
        until = deadline_here()
        if self.within is not None:
            until = min(until, began + self.within)
        if now + delay >= until:
            self._too_late += 1
            self._give_up(now, failure, failures, delay)
            return None
        if self.budget is not None and not self.budget.try_spend():
            self._over_budget += 1
            self._give_up(now, failure, failures)
            return None
        self._tell("retry", now, failure, delay, failures)
        return delay

    def _rule_for(self, failure: Exception) -> Rule:
        for kind in type(failure).__mro__:
            rule = self._rules.get(kind)
            if rule is not None:
                return rule
        return False

    def _give_up(self, now: float, failure: Exception | None, failures: int, seconds: float | None = None) -> None:
        self._tell("gave-up", now, failure, seconds, failures)

    def _note_recovery(self, failures: int) -> None:
        self._recovered += 1
        self._tell("recovered", now_here(), None, None, failures + 1)

    async def _wait(self, delay: float) -> None:
        self._waited += delay
        self._retries += 1
        # Even without a delay everybody else has a turn.
        await sleep(delay)


class Attempts:
    """The loop over a `Retry`: gives an `Attempt` as long as there is to be another."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._last: Attempt | None = None
        self._began = 0.0

    def __aiter__(self) -> Attempts:
        return self

    async def __anext__(self) -> Attempt:
        retry, last = self._retry, self._last
        if last is None:
            retry._calls += 1
            if retry.budget is not None:
                retry.budget.call()
            self._began = now_here()
            number = 1
        elif not last.left:
            raise RuntimeError("the body of the loop over a Retry is `with attempt: ...`")
        elif last.delay is None:
            raise StopAsyncIteration
        else:
            await retry._wait(last.delay)
            number = last.number + 1
        self._last = Attempt(retry, number, self._began)
        return self._last


class Attempt:
    """One attempt in a loop over a `Retry`: ``with attempt: ...`` takes the failures that are to be retried."""

    def __init__(self, retry: Retry, number: int, began: float) -> None:
        self._retry = retry
        self._began = began
        #: The how-manieth attempt it is, from 1.
        self.number = number
        #: Whether its block has been left.
        self.left = False
        #: How many seconds will pass before the next attempt; None: there is none.
        self.delay: float | None = None

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.left = True
        if error is None and self.number > 1:
            self._retry._note_recovery(self.number - 1)
        if not isinstance(error, Exception):
            return False
        self.delay = self._retry._delay(error, self.number, self._began)
        return self.delay is not None


def _rules_of(on: Any) -> tuple[dict[type, Rule], Decide | None]:
    if isinstance(on, Mapping):
        if not on:
            raise ValueError("Retry: on names no class of exceptions")
        rules: dict[type, Rule] = {}
        for kind, rule in on.items():
            checks.errors("Retry", "on", kind)
            if isinstance(kind, tuple) or not isinstance(rule, (bool, int, Backoff)):
                raise TypeError(f"Retry: a rule is a bool, a number of attempts or a Backoff, got {kind!r}: {rule!r}")
            if not isinstance(rule, (bool, Backoff)):
                checks.positive_int("Retry", f"the attempts for {kind.__name__}", rule)
            rules[kind] = rule
        return rules, None
    if isinstance(on, (type, tuple)):
        return dict.fromkeys(checks.errors("Retry", "on", on), True), None
    if callable(on):
        return {}, on
    raise TypeError(f"Retry: on is a class, a tuple, a mapping or a function of an exception, got {on!r}")
