"""A budget for the whole request, shorter ones for each upstream call, and a fallback when a call is too slow.

Three calls with a budget of 0.5 s each fit into 2 s, even if all are slow; the request is answered in any case.

Output::

    prices: 42
    reviews: fallback (none today)
    stock: 7
    request answered within its budget: True
    five slow calls do not fit: request timed out
"""

import asyncio
import time


async def upstream(name, latency, value):
    await asyncio.sleep(latency)
    return value


async def call(name, latency, value, fallback):
    try:
        async with asyncio.timeout(0.5):
            return await upstream(name, latency, value)
    except TimeoutError:
        return f"fallback ({fallback})"


async def handle_request():
    async with asyncio.timeout(2):
        return {
            "prices": await call("prices", 0.01, 42, "yesterday's"),
            "reviews": await call("reviews", 10, ["good"], "none today"),
            "stock": await call("stock", 0.01, 7, "unknown"),
        }


async def handle_slow_request():
    async with asyncio.timeout(2):
        for name in ("a", "b", "c", "d", "e"):
            await call(name, 10, None, "nothing")


async def main():
    start = time.perf_counter()
    for name, value in (await handle_request()).items():
        print(f"{name}: {value}")
    print("request answered within its budget:", time.perf_counter() - start < 2)
    try:
        await handle_slow_request()
    except TimeoutError:
        print("five slow calls do not fit: request timed out")


if __name__ == "__main__":
    asyncio.run(main())
