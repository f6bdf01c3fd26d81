"""Two tasks wake each other in turn through futures: what a wake-up costs that does not come from I/O."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.case import InProcess


async def run(wakes: int, api: Any) -> None:
    loop = asyncio.get_running_loop()
    turn = [loop.create_future(), loop.create_future()]

    async def play(mine: int, theirs: int) -> None:
        for _ in range(wakes // 2):
            await turn[mine]
            turn[mine] = loop.create_future()
            turn[theirs].set_result(None)

    players = [asyncio.ensure_future(play(0, 1)), asyncio.ensure_future(play(1, 0))]
    turn[0].set_result(None)
    for player in players:
        await player


CASE = InProcess(
    "future_ping_pong", "two tasks wake each other through futures", "wake-up", run, count=100_000, quick_count=4_000
)
