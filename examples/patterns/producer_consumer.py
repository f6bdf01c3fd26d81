"""Pattern 4: a producer and a consumer with a queue between them; the slower one sets the pace.

Items are consumed in the order in which they were produced.  The consumer takes exactly twice as long as the producer,
so some lines of the two come at the same moment, and chance decides which is printed first.

Output, in an order that varies::

    Produced: 0
    Produced: 1
    Produced: 2
    Consumed: 0
    Produced: 3
    Produced: 4
    Consumed: 1
    Consumed: 2
    Consumed: 3
    Consumed: 4
"""

import asyncio
from asyncio import Queue


async def producer(queue, n):
    for i in range(n):
        await asyncio.sleep(0.02)
        await queue.put(i)
        print(f"Produced: {i}")
    await queue.put(None)  # Sentinel value


async def consumer(queue):
    while True:
        item = await queue.get()
        if item is None:
            break
        await asyncio.sleep(0.04)
        print(f"Consumed: {item}")


async def main():
    queue = Queue()

    await asyncio.gather(
        producer(queue, 5),
        consumer(queue),
    )


if __name__ == "__main__":
    asyncio.run(main())
