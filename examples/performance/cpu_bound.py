"""When async is not faster: four computations in threads take about as long as in sequence; processes share them out.

With the global interpreter lock, one thread computes at a time.  ``compute`` stands at the top of the module: a
function nested in another one, as one often sees it, cannot be sent to a process.

Output::

    sequential: 4 results, ~0.20 s
    async with threads: the same 4 results, ~0.20 s
    processes: the same 4 results, ~0.10 s
    a nested function cannot be sent to a process: True
"""

import asyncio
import pickle
import time
from multiprocessing import Pool


def compute(_=None):
    return sum(i * i for i in range(500_000))


# CPU-bound: async doesn't help (single-threaded)
async def async_cpu_bound():
    tasks = [asyncio.to_thread(compute) for _ in range(4)]
    return await asyncio.gather(*tasks)


# Use multiprocessing instead for CPU-bound work
def cpu_bound_parallel(pool):
    return pool.map(compute, range(4))


def nested_function():
    def compute():
        return sum(i * i for i in range(500_000))

    return compute


def can_be_sent(function):
    try:
        pickle.dumps(function)
    except (AttributeError, pickle.PicklingError):
        return False
    return True


if __name__ == "__main__":
    start = time.perf_counter()
    expected = [compute() for _ in range(4)]
    print(f"sequential: {len(expected)} results, {time.perf_counter() - start:.2f} s")

    start = time.perf_counter()
    results = asyncio.run(async_cpu_bound())
    same = "the same" if results == expected else "other"
    print(f"async with threads: {same} {len(results)} results, {time.perf_counter() - start:.2f} s")

    with Pool(4) as pool:
        pool.map(abs, range(4))  # the processes are up; their start is not what is measured
        start = time.perf_counter()
        results = cpu_bound_parallel(pool)
        same = "the same" if results == expected else "other"
        print(f"processes: {same} {len(results)} results, {time.perf_counter() - start:.2f} s")
    print("a nested function cannot be sent to a process:", not can_be_sent(nested_function()))
