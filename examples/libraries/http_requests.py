"""HTTP requests with async/await: status, headers and body of one page, and an error status handled.

Output::

    200 text/plain
    <html><title>example.com</title></html>
    404 is not a page
"""

import asyncio
import sys
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent))
from _loopback import pages


async def fetch(session, url):
    async with session.get(url) as response:
        response.raise_for_status()
        return response.status, response.content_type, await response.text()


async def main():
    async with pages("example.com", "missing.example") as (url, missing), aiohttp.ClientSession() as session:
        status, content_type, text = await fetch(session, url)
        print(status, content_type)
        print(text.strip())
        try:
            await fetch(session, missing)
        except aiohttp.ClientResponseError as error:
            print(error.status, "is not a page")


if __name__ == "__main__":
    asyncio.run(main())
