"""Callbacks: a chain in which each schedules the next, and callbacks handed over by another thread.

The thread cases have two shapes. In a burst the thread posts as fast as it can, and a loop may batch its wake-ups; in
a round trip it posts one and waits until that has run, so every post has to wake the loop.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from bench.case import InProcess


async def chain(callbacks: int, api: Any) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = callbacks

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            done.set_result(None)

    loop.call_soon(step)
    await done


async def burst(callbacks: int, api: Any) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = callbacks

    def step() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    def post() -> None:
        for _ in range(callbacks):
            loop.call_soon_threadsafe(step)

    thread = threading.Thread(target=post)
    thread.start()
    await done
    thread.join()


async def round_trip(callbacks: int, api: Any) -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    ran = threading.Semaphore(0)

    def post() -> None:
        for _ in range(callbacks):
            loop.call_soon_threadsafe(ran.release)
            ran.acquire()
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=post)
    thread.start()
    await done
    thread.join()


CASES = (
    InProcess("call_soon", "each callback schedules the next", "callback", chain, count=200_000, quick_count=5_000),
    InProcess(
        "threadsafe_burst",
        "a thread posts call_soon_threadsafe as fast as it can",
        "callback",
        burst,
        count=100_000,
        quick_count=3_000,
    ),
    InProcess(
        "threadsafe_round_trip",
        "a thread posts one callback and waits until it ran",
        "callback",
        round_trip,
        count=10_000,
        quick_count=500,
    ),
)
