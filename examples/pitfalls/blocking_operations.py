"""Pitfall 2: ``time.sleep()`` in async code blocks the loop; two of them take the sum, two async ones the longest.

Output::

    wrong, twice at the same time: ~0.20 s
    correct, twice at the same time: ~0.10 s
"""

import asyncio
import time


# Wrong - blocks event loop
async def wrong():
    time.sleep(0.1)  # Blocks!


# Correct
async def correct():
    await asyncio.sleep(0.1)  # Non-blocking


async def main():
    for function in (wrong, correct):
        start = time.perf_counter()
        await asyncio.gather(function(), function())
        print(f"{function.__name__}, twice at the same time: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
