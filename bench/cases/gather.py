"""``gather`` of 1,000 empty coroutines, per coroutine."""

from __future__ import annotations

import asyncio

from bench.case import InProcess

WIDTH = 1_000


async def empty() -> None:
    pass


async def run(tasks: int) -> None:
    for _ in range(tasks // WIDTH):
        await asyncio.gather(*[empty() for _ in range(WIDTH)])


CASE = InProcess("gather", "asyncio.gather of 1,000 empty coroutines", "task", run, count=100_000, quick_count=3_000)
