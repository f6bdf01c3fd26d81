"""``await`` pauses the coroutine until the awaited operation completes; the lines come out in program order.

Output::

    Before await
    Starting fetch...
    Fetch complete!
    After await: Data
"""

import asyncio


async def fetch_data():
    print("Starting fetch...")
    await asyncio.sleep(0.2)  # Pause here for 0.2 seconds
    print("Fetch complete!")
    return "Data"


async def main():
    print("Before await")
    result = await fetch_data()  # Wait for fetch_data to complete
    print(f"After await: {result}")


if __name__ == "__main__":
    asyncio.run(main())
