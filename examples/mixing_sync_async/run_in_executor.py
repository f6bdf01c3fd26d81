"""Blocking code from async code: ``run_in_executor()`` runs it in a thread, and the loop goes on meanwhile.

Output::

    the loop ticked while the thread was blocked: True
    Blocking result
"""

import asyncio


def blocking_io():
    """Synchronous blocking function."""
    import time

    time.sleep(0.5)
    return "Blocking result"


async def ticker(ticks):
    while True:
        await asyncio.sleep(0.02)
        ticks.append(None)


async def main():
    loop = asyncio.get_running_loop()  # get_event_loop() in async code gives the same one
    ticks = []
    ticking = asyncio.create_task(ticker(ticks))

    # Run blocking code in thread pool
    result = await loop.run_in_executor(
        None,  # Use default executor
        blocking_io,
    )
    ticking.cancel()
    print("the loop ticked while the thread was blocked:", len(ticks) > 0)
    print(result)


if __name__ == "__main__":
    asyncio.run(main())
