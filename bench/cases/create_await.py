"""Create one task and await it, one after another: what a task costs from birth to result."""

from __future__ import annotations

import asyncio

from bench.case import InProcess


async def empty() -> None:
    pass


async def run(tasks: int) -> None:
    for _ in range(tasks):
        await asyncio.create_task(empty())


CASE = InProcess(
    "create_await", "create_task and await it, sequentially", "task", run, count=100_000, quick_count=3_000
)
