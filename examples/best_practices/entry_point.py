"""1. Use ``asyncio.run()`` as the entry point: it closes the loop, cancels what is left, and shuts generators down.

By hand (``run_until_complete`` on a loop of one's own; ``get_event_loop()`` makes none since Python 3.14) none of
this happens unless one does it.

Output::

    asyncio.run(): leftover task cancelled, loop closed: True
    by hand: leftover task still pending, loop closed: False
"""

import asyncio

state = {}


async def leftover():
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        state["leftover"] = "cancelled"
        raise


async def main():
    state["leftover"] = "still pending"
    state["loop"] = asyncio.get_running_loop()
    state["task"] = asyncio.create_task(leftover())
    await asyncio.sleep(0.01)


def report(how):
    print(f"{how}: leftover task {state['leftover']}, loop closed: {state['loop'].is_closed()}")


if __name__ == "__main__":
    # Good
    asyncio.run(main())
    report("asyncio.run()")

    # Bad
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    report("by hand")

    # What asyncio.run() would have done
    state["task"].cancel()
    loop.run_until_complete(asyncio.wait([state["task"]]))
    loop.close()
