"""Virtual time: a loop whose clock jumps to the next timer as soon as nothing is ready.

A program that waits for hours runs in milliseconds, and always in the same way: what it sees of the time is what its
timers ask for.  Nothing is replaced but the driver (`hocket.core.driver`), so it is the engine itself that runs.

    from tests.virtual import run

    async def main():
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(3600)
        return loop.time() - began

    assert run(main()) == 3600.0

The clock counts whole nanoseconds, so that many small steps add up to what one expects.  Descriptors work, and what is
ready there comes before the clock moves; but other threads live in real time: while nothing but a timer is left to wait
for, the clock does not wait for them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from typing import Any, TypeVar

import hocket
from hocket.core.ready import Ready
from hocket.drivers.selector import SelectorDriver

T = TypeVar("T")

#: Where the clock starts, in seconds: not at 0, which programs like to mean something else by.
START = 1000.0


class Deadlock(AssertionError):
    """Nothing is ready, no timer is set, and nobody has woken the loop: it would wait for ever."""


class TooLate(AssertionError):
    """The program has used more virtual time than it was given."""


class VirtualDriver(SelectorDriver):
    """Waits by moving its clock.

    *start* is the time at which it begins; *limit* how many virtual seconds the program may take before `TooLate`;
    *patience* for how many real seconds it waits for other threads when nothing else can wake the loop, before
    `Deadlock`.
    """

    name = "virtual"

    def __init__(self, start: float = START, limit: float = 30 * 24 * 3600.0, patience: float = 5.0) -> None:
        super().__init__()
        self._start = round(start * 1e9)
        self._nanoseconds = self._start
        self._limit = limit
        self._patience = patience
        #: The loop that waits with it, for what `Deadlock` says.
        self.loop: asyncio.AbstractEventLoop | None = None
        #: How often the clock was moved.
        self.jumps = 0

    def time(self) -> float:
        return self._nanoseconds / 1e9

    def resolution(self) -> float:
        return 1e-9

    def elapsed(self) -> float:
        """For how many virtual seconds it has been running."""
        return (self._nanoseconds - self._start) / 1e9

    def advance(self, seconds: float) -> None:
        """Move the clock from inside of a step: what a step does that takes so long."""
        if seconds < 0:
            raise ValueError(f"a clock never runs backwards, got {seconds} s")
        self._nanoseconds += round(seconds * 1e9)

    def poll(self, timeout: float, ready: Ready) -> None:
        before = len(ready)
        if timeout < 0:
            # A thread may be at work for this loop.
            alone = threading.active_count() == 1
            # The kernel may be about to deliver what was sent.
            if not self._look(min(0.1, self._patience) if alone else self._patience, ready):
                raise Deadlock(f"nothing can wake this loop any more; {self._who_waits()}")
            return
        self._look(0.0, ready)
        if timeout > 0 and len(ready) == before and not self._woken:
            self._nanoseconds += max(1, round(timeout * 1e9))
            self.jumps += 1
            if self.elapsed() > self._limit:
                raise TooLate(f"{self._limit} virtual seconds are over; {self._who_waits()}")

    def _look(self, seconds: float, ready: Ready) -> bool:
        """See what has become ready within so many real seconds; whether there was anything, or a wake-up."""
        before = len(ready)
        self._woken = False
        reported = self._selector.select(seconds)
        self._woken = any(key.fd == self._wakefd for key, _ in reported)
        if reported:
            super().poll(0.0, ready)
        else:
            ready.stamp()
        return self._woken or len(ready) > before

    _woken = False

    def _who_waits(self) -> str:
        tasks = asyncio.all_tasks(self.loop) if self.loop is not None else set()
        names = sorted(repr(task) for task in tasks)
        return "these tasks wait: " + "\n  ".join(names) if names else "no task waits"


def new_loop(driver: VirtualDriver | None = None) -> Any:
    """A hocket loop in virtual time."""
    driver = VirtualDriver() if driver is None else driver
    loop = hocket.new_event_loop(driver=driver)
    driver.loop = loop
    return loop


def run(
    main: Coroutine[Any, Any, T],
    *,
    driver: VirtualDriver | None = None,
    debug: bool | None = None,
    factory: Callable[[VirtualDriver], Any] = new_loop,
) -> T:
    """Run *main* on a new loop in virtual time and return its result.

    Whatever the loop's exception handler is told of is an error: a test that did not expect it would not see it.
    """
    driver = VirtualDriver() if driver is None else driver
    with (
        told_of_nothing() as listen,
        asyncio.Runner(debug=debug, loop_factory=lambda: listen(factory(driver))) as runner,
    ):
        try:
            return runner.run(main)
        finally:
            # A thread that ends is not waited for in virtual time.
            executor, runner.get_loop()._default_executor = runner.get_loop()._default_executor, None  # type: ignore
            if executor is not None:
                executor.shutdown()


@contextmanager
def told_of_nothing() -> Any:
    """Give a function that watches the exception handler of a loop; in the end `AssertionError` if it was called."""
    contexts: list[dict[str, Any]] = []

    def listen(loop: Any) -> Any:
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        return loop

    yield listen
    assert not contexts, f"the loop's exception handler was called: {contexts}"
