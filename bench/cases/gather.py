"""``gather`` of 1,000 empty coroutines, per coroutine."""

from __future__ import annotations

from typing import Any

from bench.case import InProcess

WIDTH = 1_000
NOTHING = [None] * WIDTH


async def empty() -> None:
    pass


async def run(tasks: int, api: Any) -> None:
    for _ in range(tasks // WIDTH):
        results = await api.gather(*[empty() for _ in range(WIDTH)])
        if results != NOTHING:
            raise RuntimeError(f"gather gave {len(results)} results, and not {WIDTH} times None")


CASE = InProcess(
    "gather", "gather of 1,000 empty coroutines", "task", run, count=100_000, quick_count=3_000, uses=("gather",)
)
