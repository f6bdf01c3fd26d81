"""Pattern 4: a producer and a consumer with a queue between them; the slower one sets the pace.

Output::

    Produced: 0
    Produced: 1
    Consumed: 0
    Produced: 2
    Produced: 3
    Consumed: 1
    Produced: 4
    Consumed: 2
    Consumed: 3
    Consumed: 4
"""

import asyncio
from asyncio import Queue


async def producer(queue, n):
    for i in range(n):
        await asyncio.sleep(0.04)
        await queue.put(i)
        print(f"Produced: {i}")
    await queue.put(None)  # Sentinel value


async def consumer(queue):
    while True:
        item = await queue.get()
        if item is None:
            break
        # A little less than two items' time: at exactly two, chance would order the lines.
        await asyncio.sleep(0.07)
        print(f"Consumed: {item}")


async def main():
    queue = Queue()

    await asyncio.gather(
        producer(queue, 5),
        consumer(queue),
    )


if __name__ == "__main__":
    asyncio.run(main())
