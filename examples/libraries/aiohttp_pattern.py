"""The pattern for many HTTP requests: one session, a limit, a timeout, and an outcome for every URL, good or bad.

Ten pages of 0.1 s, five at a time, take two rounds.

Output::

    9 ok, 1 failed
    failed: missing.example with status 404
    10 pages, 5 at a time: ~0.20 s
"""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent))
from _loopback import pages

NAMES = [f"page{number}" for number in range(9)] + ["missing.example"]


async def fetch(session, limit, url):
    async with limit:
        try:
            async with session.get(url) as response:
                response.raise_for_status()
                return {"url": url, "text": await response.text()}
        except aiohttp.ClientResponseError as error:
            return {"url": url, "error": f"status {error.status}"}
        except (aiohttp.ClientError, TimeoutError) as error:
            return {"url": url, "error": repr(error)}


async def main():
    async with pages(*NAMES) as urls:
        start = time.perf_counter()
        limit = asyncio.Semaphore(5)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            results = await asyncio.gather(*(fetch(session, limit, url) for url in urls))
        total = time.perf_counter() - start
    failed = [result for result in results if "error" in result]
    print(f"{len(results) - len(failed)} ok, {len(failed)} failed")
    for result in failed:
        print(f"failed: {result['url'].rpartition('/')[2]} with {result['error']}")
    print(f"{len(urls)} pages, 5 at a time: {total:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
