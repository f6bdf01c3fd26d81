"""The tools side by side: ``wait_for``, ``timeout``, a deadline moved later, ``shield``, and cancelling by hand.

Output::

    wait_for: gave up
    timeout: gave up: True
    rescheduled: had the time it needed
    shield: the caller gave up, the work went on: saved
    cancel: 'shutting down'
"""

import asyncio


async def save():
    await asyncio.sleep(0.2)
    return "saved"


async def main():
    loop = asyncio.get_running_loop()

    try:
        await asyncio.wait_for(save(), 0.02)
    except TimeoutError:
        print("wait_for: gave up")

    try:
        async with asyncio.timeout(0.02) as limit:
            await save()
    except TimeoutError:
        print("timeout: gave up:", limit.expired())

    async with asyncio.timeout(0.02) as limit:
        limit.reschedule(loop.time() + 5)
        await save()
        print("rescheduled: had the time it needed")

    work = asyncio.create_task(save())
    try:
        await asyncio.wait_for(asyncio.shield(work), 0.02)
    except TimeoutError:
        print("shield: the caller gave up, the work went on:", await work)

    task = asyncio.create_task(save())
    await asyncio.sleep(0)
    task.cancel("shutting down")
    try:
        await task
    except asyncio.CancelledError as error:
        print(f"cancel: {error.args[0]!r}")


if __name__ == "__main__":
    asyncio.run(main())
