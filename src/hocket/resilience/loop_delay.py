"""How late the loop is: for how long what is ready waits until it runs.

That is the one measure of an overloaded loop which needs no knowledge of what runs on it.  hocket's scheduler counts it
for every step (`Scheduler.ready_delays`), so to know it costs two subtractions, when somebody asks.

Whoever wants to feed a policy with something else (a queue's age, a machine's pressure, a simulation) gives it any
function without arguments that returns seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hocket.core.scheduler import Scheduler
from hocket.native.measure import ticks_per_second

#: Gives the present delay in seconds.
DelaySource = Callable[[], float]


class LoopDelay:
    """The mean delay of the steps since it was asked last, in seconds; of the loop on which it is asked.

    0.0 where nothing has run since, and on loops that are not hocket's, which do not count it.
    """

    def __init__(self) -> None:
        self._loop: Any = None
        self._sum = 0
        self._steps = 0

    def __call__(self) -> float:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, Scheduler):
            return 0.0
        delays, steps = loop.ready_delays.sum, loop.steps + loop.callbacks
        if loop is not self._loop:
            self._loop = loop
            before, counted = delays, steps
        else:
            before, counted = self._sum, self._steps
        self._sum, self._steps = delays, steps
        return (delays - before) / (steps - counted) / ticks_per_second() if steps > counted else 0.0
