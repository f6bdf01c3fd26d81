"""A coroutine is lazy and runs inside whoever awaits it; a task is scheduled at once and runs by itself.

Awaiting two coroutines takes the sum of their waits, awaiting two tasks takes the longest.

Output::

    coroutine object: awaitable, not running by itself -> started: []
    task: scheduled, managed by the loop -> started: ['task']
    two coroutines, one await after the other: ~0.20 s
    two tasks, started with create_task(): ~0.10 s
"""

import asyncio
import time

started = []


async def work(name):
    started.append(name)
    await asyncio.sleep(0.1)


async def main():
    coroutine = work("coroutine")
    await asyncio.sleep(0.02)
    print("coroutine object: awaitable, not running by itself -> started:", started)

    task = asyncio.create_task(work("task"))
    await asyncio.sleep(0.02)
    print("task: scheduled, managed by the loop -> started:", started)
    await task
    await coroutine

    start = time.perf_counter()
    await work("a")
    await work("b")
    print(f"two coroutines, one await after the other: {time.perf_counter() - start:.2f} s")

    start = time.perf_counter()
    first, second = asyncio.create_task(work("c")), asyncio.create_task(work("d"))
    await first
    await second
    print(f"two tasks, started with create_task(): {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
