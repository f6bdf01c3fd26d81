"""Three tasks of 0.2 s drawn as they ran: in sequence, concurrently, and in parallel processes.

Waiting in sequence takes the sum; concurrent and parallel waits take the longest one.  The start of the processes is
not counted.

Output::

    Synchronous (Sequential):
      Task A: |##########                    |
      Task B: |          ##########          |
      Task C: |                    ##########|
      Total: ~0.60 s
    Concurrent (Async/await):
      Task A: |##########                    |
      Task B: |##########                    |
      Task C: |##########                    |
      Total: ~0.20 s
    Parallel (Multiprocessing):
      Task A: |##########                    |
      Task B: |##########                    |
      Task C: |##########                    |
      Total: ~0.20 s
"""

import asyncio
import multiprocessing
import time

SECONDS = 0.2
NAMES = "ABC"


def wait(name):
    start = time.time()
    time.sleep(SECONDS)
    return name, start, time.time()


async def wait_async(name):
    start = time.time()
    await asyncio.sleep(SECONDS)
    return name, start, time.time()


def wait_in_process(name, together):
    together.wait()
    return wait(name)


def meet(barrier):
    """Give every process of the pool the barrier: it cannot travel as an argument of a job."""
    global together
    together = barrier


def job(name):
    return wait_in_process(name, together)


async def concurrently():
    return await asyncio.gather(*(wait_async(name) for name in NAMES))


def draw(title, spans):
    begin = min(start for _, start, _ in spans)
    scale = 30 / (3 * SECONDS)
    print(title)
    for name, start, end in spans:
        first, last = round((start - begin) * scale), round((end - begin) * scale)
        print(f"  Task {name}: |{' ' * first}{'#' * (last - first):{30 - first}}|")
    print(f"  Total: {max(end for _, _, end in spans) - begin:.2f} s")


if __name__ == "__main__":
    draw("Synchronous (Sequential):", [wait(name) for name in NAMES])
    draw("Concurrent (Async/await):", asyncio.run(concurrently()))
    with multiprocessing.Pool(3, meet, [multiprocessing.Barrier(3)]) as pool:
        draw("Parallel (Multiprocessing):", pool.map(job, NAMES, chunksize=1))
