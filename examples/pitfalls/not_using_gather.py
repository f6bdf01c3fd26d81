"""Pitfall 3: awaiting one after another what could wait together.

Output::

    slow: ('first', 'second') in ~0.20 s
    fast: ('first', 'second') in ~0.10 s
"""

import asyncio
import time


async def fetch1():
    await asyncio.sleep(0.1)
    return "first"


async def fetch2():
    await asyncio.sleep(0.1)
    return "second"


# Slow - sequential execution
async def slow():
    result1 = await fetch1()  # Wait
    result2 = await fetch2()  # Wait
    return result1, result2


# Fast - concurrent execution
async def fast():
    result1, result2 = await asyncio.gather(
        fetch1(),
        fetch2(),
    )
    return result1, result2


async def main():
    for function in (slow, fast):
        start = time.perf_counter()
        result = await function()
        print(f"{function.__name__}: {result} in {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
