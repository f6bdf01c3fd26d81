"""4. Handle cancellation gracefully: catch ``CancelledError``, clean up, raise it again.

Output::

    Working...
    ...
    Task cancelled, cleaning up...
    cancelled: True
"""

import asyncio


async def cancellable_task():
    try:
        while True:
            await asyncio.sleep(0.1)
            print("Working...")
    except asyncio.CancelledError:
        print("Task cancelled, cleaning up...")
        # Cleanup code here
        raise  # Re-raise to propagate cancellation


async def main():
    task = asyncio.create_task(cancellable_task())
    await asyncio.sleep(0.35)
    task.cancel()
    await asyncio.wait([task])
    print("cancelled:", task.cancelled())


if __name__ == "__main__":
    asyncio.run(main())
