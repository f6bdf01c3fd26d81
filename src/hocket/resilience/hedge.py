"""`Hedge`: ask a second time when the answer is late, and take what comes first.

Of a service that answers in 10 ms, and once in a hundred times in a second, a second question after 10 ms gets nearly
every answer within 20 ms, for one per cent more calls (Dean and Barroso, "The Tail at Scale", 2013).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hocket.core.scope import CancelScope
from hocket.primitives.waiting import wait
from hocket.resilience import patience
from hocket.resilience import retry_budget as budgets
from hocket.resilience.policy import Policy, now_here
from hocket.resilience.retry_budget import RetryBudget
from hocket.structured import checks
from hocket.structured.scopes import deadline_here

if TYPE_CHECKING:
    from hocket.resilience.statistics import HedgeStatistics

_OWN = object()
#: How many durations a delay by quantile rests on.
_REMEMBERED = 200


class Hedge(Policy):
    """Makes a call again if it has not answered after *delay* seconds, up to *most* attempts at once; the first to
    succeed wins.

    With *quantile* the delay is how long that share of the last 200 successful calls took (0.95: the slowest twentieth
    is asked again); *delay* holds until there were twenty.  An attempt that fails is not waited for: the next one
    begins at once, unless *on* (a class or a tuple) does not cover its exception, which then ends the call.  If all
    fail, the exception of the last one is raised.

    The losers are cancelled, and the call returns when they have cleaned up: nothing runs on behind it.  Each attempt
    is a task, in a copy of the caller's context.  *budget* bounds how many calls may be hedged, as for
    `hocket.resilience.Retry`: a tenth of the calls and one a second by default.  No attempt begins past the deadline.

    Only hedge what may be done twice::

        @Hedge(delay=0.05, quantile=0.95)
        async def lookup(key): ...

    As decorator and stage; a block of code cannot be run twice.  Decisions: ``hedged`` (number: of the attempt,
    seconds: the delay), ``won`` (number: of the attempt that won).
    """

    no_block = "a block of code cannot be run twice"

    def __init__(
        self,
        *,
        delay: float,
        quantile: float | None = None,
        most: int = 2,
        on: type[Exception] | tuple[type[Exception], ...] = Exception,
        budget: RetryBudget | object | None = _OWN,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.delay = checks.seconds("Hedge", "delay", delay)
        self.quantile = None if quantile is None else checks.share("Hedge", "quantile", quantile, zero=False)
        self.most = checks.positive_int("Hedge", "most", most, 2)
        self.on = checks.errors("Hedge", "on", on)
        self.budget = RetryBudget(ratio=0.1, reserve=1.0) if budget is _OWN else budgets.checked("Hedge", budget)
        self._durations: list[float] = []
        self._oldest = 0
        self._calls = 0
        self._attempts = 0
        self._hedged = 0
        self._won = 0
        self._over_budget = 0

    def statistics(self) -> HedgeStatistics:
        """What it has done so far."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.HedgeStatistics(
            self._calls,
            self._attempts,
            self._hedged,
            self._won,
            self._over_budget,
            self.current_delay(),
            None if self.budget is None else self.budget.statistics(),
        )

    def current_delay(self) -> float:
        """After how many seconds a call that begins now would be made again."""
        known = self._durations
        if self.quantile is None or len(known) < 20:
            return self.delay
        return sorted(known)[min(int(self.quantile * len(known)), len(known) - 1)]

    async def run(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Await ``call()`` once or several times at once, and give the first result."""
        self._calls += 1
        if self.budget is not None:
            self.budget.call()
        delay = self.current_delay()
        attempts: list[Any] = []
        running: set[Any] = set()
        began: dict[Any, float] = {}
        failure: BaseException | None = None
        try:
            self._begin(call, attempts, running, began)
            while True:
                more = len(attempts) < self.most
                done, running = await wait(
                    running, timeout=delay if more and patience.waits() else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    if not task.cancelled() and task.exception() is None:
                        self._note_success(attempts.index(task), now_here() - began[task], len(attempts))
                        return task.result()
                for task in done:
                    failure = self._failure_of(task)
                    if not isinstance(failure, self.on):
                        raise failure
                if more and self._may_hedge(len(attempts) + 1, delay):
                    self._begin(call, attempts, running, began)
                elif more:
                    delay = float("inf")
                if not running:
                    assert failure is not None
                    raise failure
        finally:
            failure = None
            await self._clean_up(attempts)

    def _begin(
        self, call: Callable[[], Awaitable[Any]], attempts: list[Any], running: set[Any], began: dict[Any, float]
    ) -> None:
        task = asyncio.get_running_loop().create_task(_awaiting(call), name=f"{self.name}, attempt {len(attempts) + 1}")
        attempts.append(task)
        running.add(task)
        began[task] = now_here()
        self._attempts += 1

    def _may_hedge(self, number: int, delay: float) -> bool:
        now = now_here()
        if now >= deadline_here():
            return False
        if self.budget is not None and not self.budget.try_spend():
            self._over_budget += 1
            return False
        if number == 2:
            self._hedged += 1
        self._tell("hedged", now, None, delay, number)
        return True

    def _failure_of(self, task: Any) -> BaseException:
        if task.cancelled():
            return asyncio.CancelledError(f"{task.get_name()} was cancelled")
        error: BaseException = task.exception()
        return error

    def _note_success(self, index: int, took: float, attempts: int) -> None:
        if index > 0:
            self._won += 1
        if attempts > 1:
            self._tell("won", now_here(), None, took, index + 1)
        if self.quantile is None:
            return
        if len(self._durations) < _REMEMBERED:
            self._durations.append(took)
        else:
            self._durations[self._oldest] = took
            self._oldest = (self._oldest + 1) % _REMEMBERED

    async def _clean_up(self, attempts: list[Any]) -> None:
        """Cancel those that still run, and wait until they have ended; whatever happens meanwhile."""
        left = [task for task in attempts if not task.done()]
        for task in left:
            task.cancel()
        cancelled: asyncio.CancelledError | None = None
        while left:
            with CancelScope(shield=True):
                try:
                    await wait(left)
                except asyncio.CancelledError as error:
                    cancelled = error
            left = [task for task in left if not task.done()]
        for task in attempts:
            if not task.cancelled():
                task.exception()  # What the losers raise nobody wants to know.
        if cancelled is not None:
            try:
                raise cancelled
            finally:
                cancelled = None


async def _awaiting(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()
