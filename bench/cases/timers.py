"""Timers: many at once that all fire, and the far commoner timeout that is cancelled before it does.

``timers_sleep`` waits for the clock, so only its CPU time says anything; its wall time is the longest sleep.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from typing import Any

from bench.case import InProcess, Metric, Probe, Sample
from bench.memory import resident

LONGEST = 1.0  # seconds
FAR = 60.0  # seconds: a timeout that never fires
BATCH = 1_000  # timers set and cancelled in one turn


async def sleep_at_random(timers: int, api: Any) -> None:
    delays = random.Random(20_24)
    # A tenth of the range for a small run: the density of timers is what a wheel or a heap feels.
    longest = min(LONGEST, LONGEST * timers / 100_000)
    tasks = [asyncio.ensure_future(api.sleep(delays.random() * longest)) for _ in range(timers)]
    for task in tasks:
        await task


def nothing() -> None:
    pass


async def set_and_cancel(timers: int, api: Any) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(timers // BATCH):
        for _ in range(BATCH):
            loop.call_later(FAR, nothing).cancel()
        await asyncio.sleep(0)


async def a_million(timers: int, api: Any) -> Sample:
    """Set, then others set and cancelled among them, then all cancelled at once; none may fire.

    Half of them are coarse, as the timeouts of connections are, which share a few round delays; half are exact.
    """
    loop = asyncio.get_running_loop()
    chances = random.Random(20_24)
    fired: list[int] = []
    delays = [chances.choice((30.0, 60.0, 75.0, 300.0)) if i % 2 else chances.uniform(30, 3_600) for i in range(timers)]
    churned = max(timers // 10, 1)
    gc.collect()
    before, started = resident(), time.process_time_ns()
    pending = [loop.call_later(delay, fired.append, 1) for delay in delays]
    await asyncio.sleep(0)
    was_set, held = time.process_time_ns(), resident() - before
    for delay in delays[:churned]:
        loop.call_later(delay, fired.append, 2).cancel()
    await asyncio.sleep(0)
    was_churned = time.process_time_ns()
    for timer in pending:
        timer.cancel()
    await asyncio.sleep(0)
    ended = time.process_time_ns()
    if fired:
        raise RuntimeError("a timer fired early, or after it had been cancelled")
    return {
        "cpu_ns": (was_set - started + ended - was_churned) / timers,
        "set_ns": (was_set - started) / timers,
        "churn_ns": (was_churned - was_set) / churned,
        "cancel_ns": (ended - was_churned) / timers,
        "bytes": max(held, 1) / timers,
    }


CASES = (
    Probe(
        "timers_pending",
        "a million timers pending: all set, some more set and cancelled among them, all cancelled",
        "timer",
        a_million,
        Metric("cpu_ns", "CPU ns"),
        (
            Metric("set_ns", "set"),
            Metric("churn_ns", "set+cancel"),
            Metric("cancel_ns", "cancel all"),
            Metric("bytes", "bytes"),
        ),
        counts={"1m": 1_000_000},
        quick_count=10_000,
    ),
    InProcess(
        "timers_sleep",
        "100,000 tasks in sleep() of 0 to 1 s, all at once",
        "timer",
        sleep_at_random,
        count=100_000,
        quick_count=2_000,
        uses=("sleep",),
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
