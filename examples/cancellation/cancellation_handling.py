"""Cancellation arrives as ``CancelledError`` at the next ``await``; a task cleans up and lets it pass.

Output::

    worker: started
    worker: cancelled, cleaning up
    worker: cleaned up
    main: the worker was cancelled: True
"""

import asyncio


async def worker():
    print("worker: started")
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        print("worker: cancelled, cleaning up")
        await asyncio.sleep(0.02)  # a clean-up may wait
        print("worker: cleaned up")
        raise


async def main():
    task = asyncio.create_task(worker())
    await asyncio.sleep(0.05)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("main: the worker was cancelled:", task.cancelled())


if __name__ == "__main__":
    asyncio.run(main())
