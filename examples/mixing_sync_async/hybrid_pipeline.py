"""Three kinds of work in one pipeline: async for the network, a thread for a blocking library, a process for the CPU.

Each stage has its own bottleneck, and the loop stays free: it ticks all the time.

Output::

    fetched (async), parsed (thread), computed (process): 3 documents
    document 0: 338350
    document 1: 338351
    document 2: 338352
    each stage ran elsewhere: True
    the loop ticked meanwhile: True
"""

import asyncio
import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor


async def fetch(number):
    await asyncio.sleep(0.05)
    return f"document {number}"


def parse(document):
    time.sleep(0.05)  # a blocking library
    return int(document.split()[1]), threading.current_thread() is not threading.main_thread()


def compute(number):
    return number + sum(i * i for i in range(101)), os.getpid()


async def pipeline(number, processes):
    document = await fetch(number)
    parsed, in_thread = await asyncio.to_thread(parse, document)
    loop = asyncio.get_running_loop()
    result, pid = await loop.run_in_executor(processes, compute, parsed)
    return document, result, in_thread and pid != os.getpid()


async def ticker(ticks):
    while True:
        await asyncio.sleep(0.01)
        ticks.append(None)


async def main():
    ticks = []
    ticking = asyncio.create_task(ticker(ticks))
    # spawn, because a process that has threads should not be forked
    with ProcessPoolExecutor(max_workers=2, mp_context=multiprocessing.get_context("spawn")) as processes:
        results = await asyncio.gather(*(pipeline(number, processes) for number in range(3)))
    ticking.cancel()
    print(f"fetched (async), parsed (thread), computed (process): {len(results)} documents")
    for document, result, _ in results:
        print(f"{document}: {result}")
    print("each stage ran elsewhere:", all(elsewhere for _, _, elsewhere in results))
    print("the loop ticked meanwhile:", len(ticks) >= 3)


if __name__ == "__main__":
    asyncio.run(main())
