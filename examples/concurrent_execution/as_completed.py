"""Pattern 4: ``asyncio.as_completed()`` hands out results as they arrive.

Output::

    Got: Data from url2
    Got: Data from url3
    Got: Data from url1
"""

import asyncio


async def fetch_data(url, delay):
    await asyncio.sleep(delay)
    return f"Data from {url}"


async def main():
    tasks = [
        fetch_data("url1", 0.3),
        fetch_data("url2", 0.1),
        fetch_data("url3", 0.2),
    ]

    # Process results as they complete
    for coro in asyncio.as_completed(tasks):
        result = await coro
        print(f"Got: {result}")


if __name__ == "__main__":
    asyncio.run(main())
