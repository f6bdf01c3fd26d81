"""`Barrier`, as in `asyncio.locks`: a number of tasks wait for each other."""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING

from hocket.primitives.condition import Condition

if TYPE_CHECKING:
    from hocket.primitives.statistics import BarrierStatistics


class _State(enum.Enum):
    FILLING = "filling"
    DRAINING = "draining"
    RESETTING = "resetting"
    BROKEN = "broken"


class Barrier:
    """Lets nobody past before *parties* tasks have come.  Semantics of `asyncio.Barrier`.

    `ValueError` if *parties* is less than 1::

        async with barrier as index:
            if index == 0:
                print("everybody is here")
    """

    def __init__(self, parties: int) -> None:
        if parties < 1:
            raise ValueError("parties must be >= 1")
        self._cond = Condition()
        self._parties = parties
        self._state = _State.FILLING
        self._count = 0  # of the tasks inside

    def __repr__(self) -> str:
        state = self._state.value
        if not self.broken:
            state += f", waiters:{self.n_waiting}/{self.parties}"
        return f"<{object.__repr__(self)[1:-1]} [{state}]>"

    async def __aenter__(self) -> int:
        return await self.wait()

    async def __aexit__(self, *_: object) -> None:
        pass

    async def wait(self) -> int:
        """Wait until all have come; gives each of them another number, from 0 up.

        `asyncio.BrokenBarrierError` if the barrier is reset or aborted meanwhile.
        """
        async with self._cond:
            await self._block()
            try:
                index = self._count
                self._count += 1
                if index + 1 == self._parties:
                    self._state = _State.DRAINING
                    self._cond.notify_all()
                else:
                    await self._wait()
                return index
            finally:
                self._count -= 1
                self._exit()

    async def _block(self) -> None:
        """Wait until those of the last round are out."""
        while self._state in (_State.DRAINING, _State.RESETTING):
            await self._cond.wait()
        if self._state is _State.BROKEN:
            raise asyncio.BrokenBarrierError("Barrier aborted")

    async def _wait(self) -> None:
        while self._state is _State.FILLING:
            await self._cond.wait()
        if self._state in (_State.BROKEN, _State.RESETTING):
            raise asyncio.BrokenBarrierError("Abort or reset of barrier")

    def _exit(self) -> None:
        if self._count == 0:
            if self._state in (_State.RESETTING, _State.DRAINING):
                self._state = _State.FILLING
            self._cond.notify_all()

    async def reset(self) -> None:
        """Start again: whoever waits gets `asyncio.BrokenBarrierError`."""
        async with self._cond:
            if self._count > 0:
                if self._state is not _State.RESETTING:
                    self._state = _State.RESETTING
            else:
                self._state = _State.FILLING
            self._cond.notify_all()

    async def abort(self) -> None:
        """Break the barrier: whoever waits, and whoever comes until `reset`, gets `asyncio.BrokenBarrierError`."""
        async with self._cond:
            self._state = _State.BROKEN
            self._cond.notify_all()

    def statistics(self) -> BarrierStatistics:
        """How many have come, and who waits."""
        from hocket.primitives import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_barrier(self)

    @property
    def parties(self) -> int:
        """How many tasks it takes."""
        return self._parties

    @property
    def n_waiting(self) -> int:
        """How many have come."""
        return self._count if self._state is _State.FILLING else 0

    @property
    def broken(self) -> bool:
        """True after `abort`."""
        return self._state is _State.BROKEN
