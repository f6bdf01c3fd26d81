"""Async and threads side by side: cooperative and light, or preemptive and heavier.

A thousand waits fit into one thread with async.  Between two awaits nobody else runs, so a counter needs no lock;
threads may be interrupted anywhere.

Output::

    async: 1000 waits in 1 thread
    threads: 50 waits in 50 threads
    switches only at await: [('A', 1), ('A', 2), ('B', 1), ('B', 2), ('A', 3), ('B', 3)]
    1000 increments without a lock: 1000
"""

import asyncio
import threading
import time


async def many_waits():
    threads = set()

    async def wait():
        await asyncio.sleep(0.05)
        threads.add(threading.get_ident())

    await asyncio.gather(*(wait() for _ in range(1000)))
    return len(threads)


def many_threads():
    together = threading.Barrier(50, timeout=30)
    names = set()

    def wait():
        together.wait()
        time.sleep(0.05)
        names.add(threading.get_ident())

    threads = [threading.Thread(target=wait) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(names)


async def order():
    trace = []

    async def run(name):
        trace.append((name, 1))
        trace.append((name, 2))  # no await in between: nobody else can come first
        await asyncio.sleep(0)
        trace.append((name, 3))

    await asyncio.gather(run("A"), run("B"))
    return trace


async def count():
    counter = 0

    async def increment():
        nonlocal counter
        await asyncio.sleep(0)
        value = counter
        counter = value + 1  # read and written between two awaits

    await asyncio.gather(*(increment() for _ in range(1000)))
    return counter


if __name__ == "__main__":
    print("async: 1000 waits in", asyncio.run(many_waits()), "thread")
    print("threads: 50 waits in", many_threads(), "threads")
    print("switches only at await:", asyncio.run(order()))
    print("1000 increments without a lock:", asyncio.run(count()))
