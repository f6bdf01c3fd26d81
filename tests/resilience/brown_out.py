"""A brown-out in virtual time: a service whose dependency loses three quarters of its capacity for a while.

Callers come at random, at a rate that the healthy dependency can bear, and have gone after a second: an answer that
comes later is worth nothing, though the work for it is done.  `simulate` counts, second by second, what was worth
something, behind any guard.  Everything random comes from the seed.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hocket.resilience.errors import Refused
from tests.virtual import run


@dataclass(frozen=True)
class Scene:
    """What happens.  Times in seconds, rates in calls a second."""

    offered: float = 400.0
    patience: float = 1.0
    workers: int = 50
    takes: float = 0.1
    begins: float = 20.0
    ends: float = 60.0
    length: float = 80.0
    #: In the brown-out: by how much longer everything takes, and how many workers there are.
    slower: float = 4.0
    left: int = 50
    seed: int = 1

    def capacity(self, second: float) -> float:
        """How many calls a second the dependency can answer at that time."""
        if self.begins <= second < self.ends:
            return self.left / (self.takes * self.slower)
        return self.workers / self.takes


#: Everything takes four times as long; or three quarters of the workers are gone.
SLOW = Scene()
FEWER = Scene(slower=1.0, left=12)


@dataclass
class Record:
    """What came of it, by the second in which it was answered, or refused."""

    scene: Scene
    good: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def goodput(self, first: float, last: float) -> float:
        """Good answers from one second to the other, as a share of what could be had: the capacity, or all calls."""
        seconds = range(int(first), int(last))
        possible = sum(min(self.scene.capacity(second), self.scene.offered) for second in seconds)
        return sum(self.good[second] for second in seconds) / possible


class Dependency:
    """Workers, and a line in front of them that nobody bounds."""

    def __init__(self, scene: Scene, generator: random.Random, clock: Callable[[], float]) -> None:
        self._scene = scene
        self._generator = generator
        self._clock = clock
        self._busy = 0
        self._line: deque[asyncio.Future[None]] = deque()

    def _in_trouble(self) -> bool:
        return self._scene.begins <= self._clock() < self._scene.ends

    def _workers(self) -> int:
        return self._scene.left if self._in_trouble() else self._scene.workers

    async def answer(self) -> None:
        if self._busy >= self._workers():
            turn = asyncio.get_running_loop().create_future()
            self._line.append(turn)
            await turn
        self._busy += 1
        mean = self._scene.takes * (self._scene.slower if self._in_trouble() else 1.0)
        await asyncio.sleep(0.5 * mean + self._generator.expovariate(2 / mean))
        self._busy -= 1
        self._serve()

    def _serve(self) -> None:
        free = self._workers() - self._busy
        while free > 0 and self._line:
            self._line.popleft().set_result(None)
            free -= 1

    async def recover(self) -> None:
        """Let those in that the end of the brown-out has room for."""
        await asyncio.sleep(self._scene.ends - self._clock())
        self._serve()


def simulate(guard: Any, scene: Scene = SLOW) -> Record:
    """Have all callers of *scene* go through *guard*."""
    seconds = int(scene.length)
    record = Record(scene, [0] * seconds, [0] * seconds, [0] * seconds, [0.0] * seconds)
    generator = random.Random(scene.seed)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()

        def clock() -> float:
            return loop.time() - began

        dependency = Dependency(scene, generator, clock)

        async def come() -> None:
            arrived = clock()
            try:
                await guard.call(dependency.answer)
            except Refused:
                count = record.refused
            else:
                count = record.good if clock() - arrived <= scene.patience else record.late
            second = int(clock())
            if second < seconds:
                count[second] += 1

        async def note_limits() -> None:
            for second in range(seconds):
                record.limits[second] = float(guard.limit)
                await asyncio.sleep(1)

        callers = [asyncio.ensure_future(note_limits()), asyncio.ensure_future(dependency.recover())]
        while clock() < scene.length:
            await asyncio.sleep(generator.expovariate(scene.offered))
            callers.append(asyncio.ensure_future(come()))
        await asyncio.gather(*callers)

    run(main())
    return record
