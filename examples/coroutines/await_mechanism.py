"""What happens during an ``await``: the coroutine suspends, the loop runs others, then the coroutine resumes.

While ``fetch`` waits, the ticker runs: no thread is suspended and no CPU time is spent on waiting.

Output::

    fetch: suspends
    ticker: tick 1
    ticker: tick 2
    ticker: tick 3
    fetch: resumes
    CPU time spent while waiting is less than a fifth of the wait: True
"""

import asyncio
import time


async def fetch():
    print("fetch: suspends")
    await asyncio.sleep(1)
    print("fetch: resumes")


async def ticker():
    for number in (1, 2, 3):
        await asyncio.sleep(0.1)
        print("ticker: tick", number)


async def main():
    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(fetch(), ticker())
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    print("CPU time spent while waiting is less than a fifth of the wait:", cpu < wall / 5)


if __name__ == "__main__":
    asyncio.run(main())
