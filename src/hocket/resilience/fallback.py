"""`Fallback`: something to answer when a call fails."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hocket.resilience.policy import Policy, now_here
from hocket.structured import checks

if TYPE_CHECKING:
    from hocket.resilience.statistics import FallbackStatistics

_MISSING: Any = object()


class Fallback(Policy):
    """Answers with *value*, or with what ``make(error)`` gives or is awaited for, when a call fails.

    *on* are the failures that it answers for, a class or a tuple: by default every `Exception`, which includes what
    other policies refuse and time out; never a cancellation.  What *make* raises comes through::

        @Fallback(make=lambda error: cached_offers(), on=(Refused, TimeoutError))
        async def offers(customer): ...

    Usually the outermost stage.  As decorator and stage; a block has no result that could be put in place.  Decision:
    ``used`` (error).  Raises `TypeError` unless exactly one of *value* and *make* is given.
    """

    no_block = "a block of code has no result that something could stand in for"

    def __init__(
        self,
        value: Any = _MISSING,
        *,
        make: Callable[[Exception], Any] | None = None,
        on: type[Exception] | tuple[type[Exception], ...] = Exception,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if (value is _MISSING) == (make is None):
            raise TypeError("Fallback: expected a value, or make=, and not both")
        if make is not None and not callable(make):
            raise TypeError(f"Fallback: make is a function of an exception, got {make!r}")
        self._value = value
        self._make = make
        self.on = checks.errors("Fallback", "on", on)
        self._calls = 0
        self._used = 0

    def statistics(self) -> FallbackStatistics:
        """How often it was used."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.FallbackStatistics(self._calls, self._used)

    async def run(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Await ``call()``, and answer in its place if it fails."""
        return await self.bind(call)()

    def bind(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A coroutine function that calls *function*, and answers in its place if it fails."""

        async def call_or_answer(*args: Any, **kwargs: Any) -> Any:
            self._calls += 1
            try:
                return await function(*args, **kwargs)
            except self.on as error:
                self._used += 1
                self._tell("used", now_here(), error)
                if self._make is None:
                    return self._value
                made = self._make(error)
                return await made if inspect.isawaitable(made) else made

        return call_or_answer
