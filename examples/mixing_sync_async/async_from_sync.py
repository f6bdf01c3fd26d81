"""Async code from synchronous code: ``asyncio.run()`` makes a loop, runs the coroutine, and closes the loop.

Output::

    Async result
"""

import asyncio


async def async_task():
    await asyncio.sleep(0.1)
    return "Async result"


def sync_function():
    """Synchronous function that needs to call async code."""
    # Create new event loop
    result = asyncio.run(async_task())
    return result


if __name__ == "__main__":
    # Call from synchronous code
    print(sync_function())
