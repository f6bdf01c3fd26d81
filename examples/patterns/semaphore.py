"""A semaphore for rate limiting: how many run at once, and how long it all takes, for several limits.

Six jobs of 0.1 s: with a limit of 1 they run in sequence, with 2 in three rounds, with 6 all at once.

Output::

    limit 1: at most 1 at once, ~0.60 s
    limit 2: at most 2 at once, ~0.30 s
    limit 6: at most 6 at once, ~0.10 s
"""

import asyncio
import time


class Meter:
    """Counts how many are inside, and the most there were."""

    def __init__(self):
        self.now = self.most = 0

    def __enter__(self):
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *exception):
        self.now -= 1


async def job(semaphore, meter):
    async with semaphore:
        with meter:
            await asyncio.sleep(0.1)


async def main():
    for limit in (1, 2, 6):
        start, meter = time.perf_counter(), Meter()
        semaphore = asyncio.Semaphore(limit)
        await asyncio.gather(*(job(semaphore, meter) for _ in range(6)))
        print(f"limit {limit}: at most {meter.most} at once, {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
