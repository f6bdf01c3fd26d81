"""A long CPU loop starves the others: yield now and then, or move it elsewhere.

The same computation three times; in between, a task that wants to run as often as possible.

Output::

    in one piece: the other task ran 0 times
    with await asyncio.sleep(0) now and then: the other task ran 100 times or more
    in a process: the other task ran 100 times or more
    the same result every time: True
"""

import asyncio
from concurrent.futures import ProcessPoolExecutor


def count(start, stop):
    return sum(i * i for i in range(start, stop))


async def in_one_piece(pool):
    return count(0, 400_000)


async def in_slices(pool):
    total = 0
    for start in range(0, 400_000, 2_000):
        total += count(start, start + 2_000)
        await asyncio.sleep(0)  # the others have their turn
    return total


async def in_process(pool):
    return await asyncio.get_running_loop().run_in_executor(pool, count, 0, 400_000)


async def other(runs):
    while True:
        await asyncio.sleep(0)
        runs.append(None)


async def main():
    results = set()
    titles = {
        in_one_piece: "in one piece",
        in_slices: "with await asyncio.sleep(0) now and then",
        in_process: "in a process",
    }
    with ProcessPoolExecutor(1) as pool:
        for function, title in titles.items():
            runs = []
            task = asyncio.create_task(other(runs))
            results.add(await function(pool))
            times = f"{len(runs)} times" if len(runs) < 100 else "100 times or more"
            task.cancel()
            print(f"{title}: the other task ran {times}")
    print("the same result every time:", len(results) == 1)


if __name__ == "__main__":
    asyncio.run(main())
