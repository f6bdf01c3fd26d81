"""Subprocesses: 200 at a time, spawned and waited for. The CPU time is the parent's, without its children's."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.case import InProcess

AT_A_TIME = 200


async def spawn_and_wait() -> None:
    process = await asyncio.create_subprocess_exec("/bin/true")
    if await process.wait() != 0:
        raise RuntimeError("/bin/true did not succeed")


async def run(processes: int, api: Any) -> None:
    for _ in range(max(processes // AT_A_TIME, 1)):
        await asyncio.gather(*[spawn_and_wait() for _ in range(min(processes, AT_A_TIME))])


CASE = InProcess("subprocess", "spawn /bin/true and wait, 200 at a time", "process", run, count=200, quick_count=10)
