"""Task switch: 1,000 tasks that each yield to the loop again and again.

The floor is the interpreter alone: the same coroutines, resumed in the same order by ``coro.send(None)``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bench.case import InProcess

TASKS = 1_000


async def yield_often(times: int, sleep: Callable[[float], Awaitable[None]]) -> None:
    for _ in range(times):
        await sleep(0)


async def run(switches: int, api: Any) -> None:
    each = switches // TASKS
    tasks = [asyncio.ensure_future(yield_often(each, api.sleep)) for _ in range(TASKS)]
    for task in tasks:
        await task


def floor(switches: int) -> None:
    each = switches // TASKS
    coroutines = [yield_often(each, asyncio.sleep) for _ in range(TASKS)]
    for _ in range(each):
        for coroutine in coroutines:
            coroutine.send(None)
    for coroutine in coroutines:
        try:
            coroutine.send(None)
        except StopIteration:
            continue
        raise RuntimeError("a coroutine of the floor did not end where it should")


CASE = InProcess(
    "switch",
    "1,000 tasks x sleep(0); floor: bare coro.send",
    "switch",
    run,
    count=300_000,
    quick_count=20_000,
    floor=floor,
    uses=("sleep",),
)
