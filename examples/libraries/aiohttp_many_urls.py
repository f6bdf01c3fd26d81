"""aiohttp: one session fetches several URLs concurrently; results come in the order of the URLs.

The pages come from this machine; give URLs as arguments to fetch others.

Output::

    http://127.0.0.1:~1/example.com: 200 (40 bytes)
    http://127.0.0.1:~1/example.org: 200 (40 bytes)
    http://127.0.0.1:~1/example.net: 200 (40 bytes)
    three pages of 0.1 s each: ~0.10 s
"""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent))
from _loopback import pages


async def fetch_multiple_urls(urls):
    async with aiohttp.ClientSession() as session:
        tasks = [fetch_url(session, url) for url in urls]
        return await asyncio.gather(*tasks)


async def fetch_url(session, url):
    async with session.get(url) as response:
        return {
            "url": url,
            "status": response.status,
            "length": len(await response.text()),
        }


async def main():
    async with pages("example.com", "example.org", "example.net") as urls:
        start = time.perf_counter()
        results = await fetch_multiple_urls(urls)
        for result in results:
            print(f"{result['url']}: {result['status']} ({result['length']} bytes)")
        print(f"three pages of 0.1 s each: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
