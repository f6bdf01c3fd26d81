"""3. Use context managers for resources: they close the session even if the request fails; clean-up by hand does not.

Output::

    good: session closed although the request failed: True
    bad: session closed although the request failed: False
"""

import asyncio
import sys
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent))
from _loopback import pages

sessions = {}


# Good - automatic cleanup
async def good(url):
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        sessions["good"] = session
        async with session.get(url) as response:
            return await response.text()


# Bad - manual cleanup
async def bad(url):
    session = sessions["bad"] = aiohttp.ClientSession(raise_for_status=True)
    response = await session.get(url)
    text = await response.text()
    await session.close()  # not reached when a line above raises
    return text


async def main():
    async with pages("missing.example") as (url,):
        for function in (good, bad):
            try:
                await function(url)
            except aiohttp.ClientResponseError:
                closed = sessions[function.__name__].closed
                print(f"{function.__name__}: session closed although the request failed: {closed}")
        await sessions["bad"].close()


if __name__ == "__main__":
    asyncio.run(main())
