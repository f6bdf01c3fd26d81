"""The order of output follows the loop's schedule, not the order of the calls: the shortest wait ends first.

Output::

    start slow
    start medium
    start fast
    end fast
    end medium
    end slow
"""

import asyncio


async def job(name, delay):
    print("start", name)
    await asyncio.sleep(delay)
    print("end", name)


async def main():
    await asyncio.gather(job("slow", 0.3), job("medium", 0.2), job("fast", 0.1))


if __name__ == "__main__":
    asyncio.run(main())
