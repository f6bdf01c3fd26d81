"""A hocket loop whose clock is told by the test, as CPython's `TestLoop` does it for asyncio's.

The test hands over a generator. It is sent the time of each timer that a turn has set, and answers with how far the
clock is to move after that turn. Nothing ever waits, and no descriptor is watched.
"""

from collections.abc import Callable, Iterator
from typing import Any

import hocket
from hocket.core.driver import Driver
from hocket.core.ready import Ready

Script = Callable[[], Iterator[float]]


class ScriptedDriver(Driver):
    """Time stands still until it is moved."""

    name = "scripted"

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def resolution(self) -> float:
        return 1e-9

    def poll(self, timeout: float, ready: Ready) -> None:
        """Nothing happens outside the script."""

    def wake(self) -> None:
        """It never waits."""

    def close(self) -> None:
        """It holds nothing."""

    def _arm(self, fd: int, before: int, after: int) -> None:
        """The loop's own wake-up descriptor is registered like any other, and ignored."""


class ScriptedLoop(hocket.EventLoop):
    """hocket's engine on a scripted clock."""

    def __init__(self, script: Any) -> None:
        self._clock = ScriptedDriver()
        super().__init__(driver=self._clock)
        self._script = script()
        next(self._script)
        self._set_this_turn: list[float] = []

    def advance_time(self, seconds: float) -> None:
        if seconds:
            self._clock.now += seconds

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        self._set_this_turn.append(when)
        return super().call_at(when, callback, *args, context=context)

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        super()._run_once()
        for when in self._set_this_turn:
            self.advance_time(self._script.send(when))
        self._set_this_turn = []

    def close(self) -> None:
        super().close()
        try:
            self._script.send(0)
        except StopIteration:
            return
        raise AssertionError("the script of the clock was not played to its end")
