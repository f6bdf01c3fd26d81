"""``try``/``except`` around an ``await`` catches what the awaited coroutine raises, as with a normal call.

Output::

    Caught error: Something went wrong!
"""

import asyncio


async def risky_operation():
    await asyncio.sleep(0.1)
    raise ValueError("Something went wrong!")


async def main():
    try:
        await risky_operation()
    except ValueError as e:
        print(f"Caught error: {e}")


if __name__ == "__main__":
    asyncio.run(main())
