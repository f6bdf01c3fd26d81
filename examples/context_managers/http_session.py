"""An aiohttp session as a context manager: it pools connections and closes them at the end of the block.

Both pages come from this machine; give two URLs to fetch others.

Output::

    Fetched 40 and 40 bytes
    session closed: True
"""

import asyncio
import sys
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent))
from _loopback import pages


async def fetch_url(session, url):
    async with session.get(url) as response:
        return await response.text()


async def main():
    async with pages("example.com", "example.org") as (url1, url2):
        # Session manages connection pooling
        async with aiohttp.ClientSession() as session:
            html1 = await fetch_url(session, url1)
            html2 = await fetch_url(session, url2)
            print(f"Fetched {len(html1)} and {len(html2)} bytes")
        print("session closed:", session.closed)


if __name__ == "__main__":
    asyncio.run(main())
