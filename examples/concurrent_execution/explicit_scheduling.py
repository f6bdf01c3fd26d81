"""``create_task()`` starts work in the background; the caller goes on until it wants the result.

Output::

    scheduled, main goes on
    background work started
    main still at work
    background work finished
    main awaited the task: result
"""

import asyncio


async def background():
    print("background work started")
    await asyncio.sleep(0.1)
    print("background work finished")
    return "result"


async def main():
    task = asyncio.create_task(background())
    print("scheduled, main goes on")  # the task starts when main() first waits
    await asyncio.sleep(0.05)
    print("main still at work")
    print("main awaited the task:", await task)


if __name__ == "__main__":
    asyncio.run(main())
