"""Pattern 3: ``asyncio.wait()`` returns the done and the pending tasks, here as soon as the first one is done.

Output::

    First completed: 1
    Cancelled: 2
"""

import asyncio


async def task(n):
    await asyncio.sleep(n / 10)
    return n


async def main():
    tasks = [asyncio.create_task(task(i)) for i in [1, 10, 20]]

    # Wait for first task to complete
    done, pending = await asyncio.wait(
        tasks,
        return_when=asyncio.FIRST_COMPLETED,
    )

    print(f"First completed: {done.pop().result()}")

    # Cancel remaining tasks ("other" where "task" would hide the function above)
    for other in pending:
        other.cancel()
    await asyncio.wait(pending)
    print(f"Cancelled: {sum(other.cancelled() for other in pending)}")


if __name__ == "__main__":
    asyncio.run(main())
