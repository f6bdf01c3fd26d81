"""Several tasks run concurrently under a single thread: three waits of 0.1 s take 0.1 s.

Output::

    Task A started
    Task B started
    Task C started
    Task A finished
    Task B finished
    Task C finished
    all in thread MainThread, ~0.10 s
"""

import asyncio
import threading
import time

threads = set()


async def task(name):
    threads.add(threading.current_thread().name)
    print(f"Task {name} started")
    await asyncio.sleep(0.1)
    print(f"Task {name} finished")


async def main():
    start = time.perf_counter()
    await asyncio.gather(task("A"), task("B"), task("C"))
    print(f"all in thread {', '.join(threads)}, {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
