"""Backpressure: a bounded queue makes a fast producer wait for its consumers, so that memory stays bounded too.

The same 200 items through an unbounded queue pile up almost completely.

Output::

    bounded to 10: at most 10 items waiting, 200 processed
    unbounded: at most 200 items waiting, 200 processed
"""

import asyncio


async def producer(queue, items, sizes):
    for item in items:
        await queue.put(item)  # blocks when full
        sizes.append(queue.qsize())


async def consumer(queue, processed):
    while True:
        item = await queue.get()
        try:
            await process(item)
            processed.append(item)
        finally:
            queue.task_done()


async def process(item):
    await asyncio.sleep(0.001)


async def run(maxsize):
    queue = asyncio.Queue(maxsize=maxsize)
    sizes, processed = [], []
    consumers = [asyncio.create_task(consumer(queue, processed)) for _ in range(4)]
    await producer(queue, range(200), sizes)
    await queue.join()
    for task in consumers:
        task.cancel()
    await asyncio.wait(consumers)
    return max(sizes), len(processed)


async def main():
    print("bounded to 10: at most {} items waiting, {} processed".format(*await run(10)))
    print("unbounded: at most {} items waiting, {} processed".format(*await run(0)))


if __name__ == "__main__":
    asyncio.run(main())
