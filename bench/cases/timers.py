"""Timers: many at once that all fire, and the far commoner timeout that is cancelled before it does.

``timers_sleep`` waits for the clock, so only its CPU time says anything; its wall time is the longest sleep.
"""

from __future__ import annotations

import asyncio
import random

from bench.case import InProcess

LONGEST = 1.0  # seconds
FAR = 60.0  # seconds: a timeout that never fires
BATCH = 1_000  # timers set and cancelled in one turn


async def sleep_at_random(timers: int) -> None:
    delays = random.Random(20_24)
    # A tenth of the range for a small run: the density of timers is what a wheel or a heap feels.
    longest = min(LONGEST, LONGEST * timers / 100_000)
    tasks = [asyncio.ensure_future(asyncio.sleep(delays.random() * longest)) for _ in range(timers)]
    for task in tasks:
        await task


def nothing() -> None:
    pass


async def set_and_cancel(timers: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(timers // BATCH):
        for _ in range(BATCH):
            loop.call_later(FAR, nothing).cancel()
        await asyncio.sleep(0)


CASES = (
    InProcess(
        "timers_sleep",
        "100,000 tasks in asyncio.sleep of 0 to 1 s, all at once",
        "timer",
        sleep_at_random,
        count=100_000,
        quick_count=2_000,
    ),
    InProcess(
        "timers_cancel",
        "call_later(60 s) and cancel, 1,000 a turn",
        "timer",
        set_and_cancel,
        count=200_000,
        quick_count=5_000,
    ),
)
