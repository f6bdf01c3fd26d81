"""A blocking call inside async code freezes everything: a heartbeat that should come every 0.02 s shows the gap.

Output::

    incorrect, time.sleep(): the heartbeat stopped for ~0.20 s
    correct, asyncio.sleep(): the heartbeat stopped for ~0.02 s
    correct, to_thread(time.sleep): the heartbeat stopped for ~0.02 s
"""

import asyncio
import itertools
import time


async def heartbeat(beats):
    while True:
        beats.append(time.perf_counter())
        await asyncio.sleep(0.02)


async def longest_gap(work):
    beats = []
    task = asyncio.create_task(heartbeat(beats))
    await asyncio.sleep(0.05)
    await work()
    await asyncio.sleep(0.05)
    task.cancel()
    return max(later - earlier for earlier, later in itertools.pairwise(beats))


async def incorrect():
    time.sleep(0.2)


async def correct():
    await asyncio.sleep(0.2)


async def also_correct():
    await asyncio.to_thread(time.sleep, 0.2)


async def main():
    print(f"incorrect, time.sleep(): the heartbeat stopped for {await longest_gap(incorrect):.2f} s")
    print(f"correct, asyncio.sleep(): the heartbeat stopped for {await longest_gap(correct):.2f} s")
    print(f"correct, to_thread(time.sleep): the heartbeat stopped for {await longest_gap(also_correct):.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
