"""Memory of pending tasks, and how the cost of one grows with their number."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from typing import Any

from bench.case import Metric, Probe, Sample
from bench.memory import resident


async def wait_for(future: asyncio.Future[None]) -> None:
    await future


async def pending_tasks(count: int, api: Any) -> Sample:
    """Tasks that all wait for futures of their own, as those of connections do: bytes and CPU time of one task.

    Few tasks are made again and again, for a steady time; the memory is that of the first time, when it is new.
    """
    samples = [await once(count) for _ in range(max(1, min(20_000 // count, 200)))]
    return {
        "bytes": samples[0]["bytes"],
        "cpu_ns": statistics.median(sample["cpu_ns"] for sample in samples),
    }


async def once(count: int) -> Sample:
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(count)]
    coroutines = [wait_for(future) for future in futures]  # theirs is the interpreter's memory, not the loop's
    gc.collect()
    before, started = resident(), time.process_time_ns()
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    suspended = time.process_time_ns()
    gc.collect()
    held = resident() - before
    resumed = time.process_time_ns()
    for future in futures:
        future.set_result(None)
    for task in tasks:
        await task
    return {"bytes": max(held, 1) / count, "cpu_ns": (time.process_time_ns() - resumed + suspended - started) / count}


CASES = (
    Probe(
        "task_memory",
        "100,000 tasks that wait",
        "task",
        pending_tasks,
        Metric("bytes", "bytes"),
        (Metric("cpu_ns", "CPU ns"),),
        counts={"100k": 100_000},
        quick_count=5_000,
    ),
    Probe(
        "task_growth",
        "create, suspend, wake and end tasks, by how many there are at once",
        "task",
        pending_tasks,
        Metric("cpu_ns", "CPU ns"),
        (Metric("bytes", "bytes"),),
        counts={"10": 10, "100": 100, "1k": 1_000, "10k": 10_000, "100k": 100_000},
        quick_count=1_000,
        long=("10", "100", "1k", "10k", "100k"),
    ),
)
