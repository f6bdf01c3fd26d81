"""Pattern 3: a semaphore lets three operations run at a time; ten waits of 0.1 s take four rounds.

Output::

    Fetching url0
    Fetching url1
    Fetching url2
    Fetching url3
    Fetching url4
    Fetching url5
    Fetching url6
    Fetching url7
    Fetching url8
    Fetching url9
    Fetched 10 URLs
    ~0.40 s, at most 3 at once
"""

import asyncio
import time
from asyncio import Semaphore

running = most = 0


async def fetch_data(sem, url):
    global running, most
    async with sem:  # Limit concurrent operations
        print(f"Fetching {url}")
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1
        return f"Data from {url}"


async def main():
    start = time.perf_counter()
    # Only 3 concurrent requests
    sem = Semaphore(3)

    urls = [f"url{i}" for i in range(10)]
    tasks = [fetch_data(sem, url) for url in urls]

    results = await asyncio.gather(*tasks)
    print(f"Fetched {len(results)} URLs")
    print(f"{time.perf_counter() - start:.2f} s, at most {most} at once")


if __name__ == "__main__":
    asyncio.run(main())
