"""The same range as an async generator: ``yield`` in an ``async def`` does what the class needed two methods for.

Output::

    0
    1
    2
    3
    4
"""

import asyncio


async def async_range(start, end):
    """Async generator - simpler than async iterator."""
    for i in range(start, end):
        await asyncio.sleep(0.01)
        yield i


async def main():
    async for number in async_range(0, 5):
        print(number)


if __name__ == "__main__":
    asyncio.run(main())
