"""2. Don't block the event loop: ``time.sleep()`` stops every task, ``asyncio.sleep()`` only the one that waits.

Output::

    bad: other tasks did not run meanwhile
    good: other tasks ran meanwhile
"""

import asyncio


# Bad - blocks event loop
async def bad():
    import time

    time.sleep(0.2)  # Blocks everything!


# Good - yields control
async def good():
    await asyncio.sleep(0.2)  # Other tasks can run


async def other(runs):
    while True:
        await asyncio.sleep(0.01)
        runs.append(None)


async def main():
    for function in (bad, good):
        runs = []
        task = asyncio.create_task(other(runs))
        await asyncio.sleep(0)
        await function()
        print(f"{function.__name__}: other tasks {'ran' if runs else 'did not run'} meanwhile")
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
