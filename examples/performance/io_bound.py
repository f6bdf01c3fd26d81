"""When async is faster: 100 waits of 0.005 s take about one wait with async, and 100 without.

Output::

    Async: ~0.01s
    Sync: ~0.50s
"""

import asyncio
import time


# I/O-bound: async is MUCH faster
async def async_io_bound():
    tasks = [asyncio.sleep(0.005) for _ in range(100)]
    await asyncio.gather(*tasks)


def sync_io_bound():
    for _ in range(100):
        time.sleep(0.005)


if __name__ == "__main__":
    # ~0.01s (concurrent)
    start = time.time()
    asyncio.run(async_io_bound())
    print(f"Async: {time.time() - start:.2f}s")

    # ~0.5s (sequential)
    start = time.time()
    sync_io_bound()
    print(f"Sync: {time.time() - start:.2f}s")
