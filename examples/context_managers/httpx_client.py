"""``httpx.AsyncClient`` in an ``async with``: its connections are closed even when a timeout ends the block.

Output::

    status 200, client closed: True
    timed out, client closed: True
"""

import asyncio
import sys
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent.parent))
from _loopback import pages


async def main():
    async with pages("example.com") as (url,):
        async with httpx.AsyncClient() as client:
            response = await client.get(url)
        print(f"status {response.status_code}, client closed: {client.is_closed}")

        try:
            async with httpx.AsyncClient() as client:
                async with asyncio.timeout(0.05):  # shorter than the page takes
                    await client.get(url)
        except TimeoutError:
            print("timed out, client closed:", client.is_closed)


if __name__ == "__main__":
    asyncio.run(main())
