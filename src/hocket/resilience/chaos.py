"""Faults on purpose, for tests: errors, delays, answers and hangs in a share of the calls.

Stages of a pipeline like any other, so a test can put them where the real trouble would be: innermost, next to the
call.  They do nothing unless ``enabled``, so that they may stay in place.

    faults = InjectError(0.1, ConnectionResetError, random=random.Random(7))
    upstream = Pipeline(Retry(), faults)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from hocket.primitives.sleep import sleep
from hocket.resilience import patience
from hocket.resilience.policy import Policy, now_here
from hocket.structured import checks
from hocket.structured.randomness import randomness

if TYPE_CHECKING:
    from hocket.resilience.statistics import ChaosStatistics


class Chaos(Policy):
    """Base of the policies that inject faults into a share *rate* of the calls.

    ``enabled`` may be set at any time.  *random* makes the choice repeatable.  Decision: ``injected``.
    """

    no_block: str | None = None

    def __init__(
        self, rate: float, *, enabled: bool = True, random: random.Random | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.rate = checks.share(type(self).__name__, "rate", rate)
        self.enabled = enabled
        self._random = random
        self._calls = 0
        self._injected = 0

    def statistics(self) -> ChaosStatistics:
        """How often it did its work."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.ChaosStatistics(self._calls, self._injected)

    async def run(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Await ``call()``, perhaps after, or instead of, a fault."""
        await self._perhaps()
        return await call()

    def __aenter__(self) -> Any:
        return self._enter()

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        return _nothing()

    async def _enter(self) -> Policy:
        await self._perhaps()
        return self

    async def _perhaps(self) -> None:
        if self._strikes():
            await self._inject()

    def _strikes(self) -> bool:
        self._calls += 1
        if not self.enabled or self._generator().random() >= self.rate:
            return False
        self._injected += 1
        self._tell("injected", now_here())
        return True

    def _generator(self) -> random.Random:
        return randomness() if self._random is None else self._random

    async def _inject(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _inject()")


class InjectError(Chaos):
    """Raises *error*, a class of exceptions or a function that makes one, in place of a share *rate* of the calls."""

    def __init__(self, rate: float, error: Callable[[], Exception] = ConnectionError, **options: Any) -> None:
        super().__init__(rate, **options)
        given: object = error
        if not callable(given) or (isinstance(given, type) and not issubclass(given, Exception)):
            raise TypeError(f"InjectError: error is a class of exceptions or makes one, got {error!r}")
        self._error = error

    async def _inject(self) -> None:
        raise self._error()


class InjectLatency(Chaos):
    """Delays a share *rate* of the calls by *least* to *most* seconds at random; without *most* by *least*."""

    def __init__(self, rate: float, least: float, most: float | None = None, **options: Any) -> None:
        super().__init__(rate, **options)
        self.least = checks.seconds("InjectLatency", "least", least)
        self.most = self.least if most is None else checks.seconds("InjectLatency", "most", most)
        if self.most < self.least:
            raise ValueError(f"InjectLatency: most ({most} s) is less than least ({least} s)")

    async def _inject(self) -> None:
        delay = self._generator().uniform(self.least, self.most)
        await sleep(delay if patience.waits() else 0.0)


class InjectHang(Chaos):
    """Lets a share *rate* of the calls wait until they are cancelled, as a peer does that has vanished.

    Without a deadline or a timeout around it that is for ever.
    """

    async def _inject(self) -> None:
        await asyncio.get_running_loop().create_future()


class InjectResult(Chaos):
    """Answers a share *rate* of the calls with *value*, without making them.  Not for blocks."""

    no_block = "a block of code has no result that something could stand in for"

    def __init__(self, rate: float, value: Any, **options: Any) -> None:
        super().__init__(rate, **options)
        self._value = value

    async def run(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Await ``call()``, or answer in its place."""
        return self._value if self._strikes() else await call()

    def __aenter__(self) -> Any:
        return Policy.__aenter__(self)


async def _nothing() -> None:
    pass
