"""Create one task and await it, one after another: what a task costs from birth to result."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.case import InProcess


async def answer(number: int) -> int:
    return number


async def run(tasks: int, api: Any) -> None:
    for number in range(tasks):
        if await asyncio.create_task(answer(number)) != number:
            raise RuntimeError("the task has another's result")


CASE = InProcess(
    "create_await", "create_task and await it, sequentially", "task", run, count=100_000, quick_count=3_000
)
