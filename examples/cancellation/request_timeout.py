"""One time limit over a whole handler: reading and transforming share it, however it is divided between them.

Output::

    quick upstream: ROW
    slow upstream: gave up within the limit: True
"""

import asyncio
import time


async def read_from_upstream(latency):
    await asyncio.sleep(latency)
    return "row"


async def transform(data):
    await asyncio.sleep(0.05)
    return data.upper()


async def handler(latency):
    async with asyncio.timeout(1):
        data = await read_from_upstream(latency)
        return await transform(data)


async def main():
    print("quick upstream:", await handler(0.05))
    start = time.perf_counter()
    try:
        await handler(10)
    except TimeoutError:
        print("slow upstream: gave up within the limit:", time.perf_counter() - start < 5)


if __name__ == "__main__":
    asyncio.run(main())
