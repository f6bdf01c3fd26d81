"""Swallowing ``CancelledError`` leaks: the task stays alive, with its resource, when everybody thinks that it ended.

Output::

    ignoring: cancelled=False, connections open: 1
    respecting: cancelled=True, connections open: 0
"""

import asyncio

connections = set()


async def ignoring():
    connections.add("ignoring")
    while True:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            if len(connections) == 0:
                return
            continue  # wrong: denies the cancellation and goes on


async def respecting():
    connections.add("respecting")
    try:
        while True:
            await asyncio.sleep(0.05)
    finally:  # right: cleans up, and the cancellation passes
        connections.discard("respecting")


async def main():
    for function in (ignoring, respecting):
        connections.clear()
        task = asyncio.create_task(function())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task], timeout=0.1)
        print(f"{function.__name__}: cancelled={task.cancelled()}, connections open: {len(connections)}")
        connections.clear()
        task.cancel()  # lets the first one end for this example
        await asyncio.wait([task])


if __name__ == "__main__":
    asyncio.run(main())
