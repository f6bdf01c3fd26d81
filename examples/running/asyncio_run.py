"""Method 1: ``asyncio.run()``, the entry point of a script.

Output::

    Hello
    World
"""

import asyncio


async def main():
    print("Hello")
    await asyncio.sleep(0.1)
    print("World")


if __name__ == "__main__":
    # Run the async function
    asyncio.run(main())
