"""Pattern 1: ``asyncio.wait_for()`` gives an operation a time limit and cancels it when that is over.

Output::

    Operation timed out!
    waited for the limit, not for the operation: True
"""

import asyncio
import time


async def slow_operation():
    await asyncio.sleep(10)
    return "Done"


async def main():
    start = time.perf_counter()
    try:
        await asyncio.wait_for(slow_operation(), timeout=0.3)
    except asyncio.TimeoutError:  # the builtin TimeoutError since Python 3.11
        print("Operation timed out!")
    print("waited for the limit, not for the operation:", 0.25 < time.perf_counter() - start < 5)


if __name__ == "__main__":
    asyncio.run(main())
