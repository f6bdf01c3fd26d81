"""A normal function runs when called, returns its value and blocks while it waits; an async one does none of that.

Two blocking calls take the sum of their waits; two awaited ones take the longest wait.

Output::

    execution   normal: immediate        async: deferred
    returns     normal: 'value'          async: coroutine
    blocking    normal: ~0.20 s for two  async: ~0.10 s for two
"""

import asyncio
import time

calls = []


def normal():
    calls.append("normal")
    time.sleep(0.1)
    return "value"


async def asynchronous():
    calls.append("async")
    await asyncio.sleep(0.1)
    return "value"


async def main():
    value = normal()
    execution = ["immediate" if "normal" in calls else "deferred"]
    coroutine = asynchronous()
    execution.append("immediate" if "async" in calls else "deferred")
    print(f"execution   normal: {execution[0]:16} async: {execution[1]}")
    print(f"returns     normal: {value!r:16} async: {type(coroutine).__name__}")
    await coroutine

    start = time.perf_counter()
    normal()
    normal()
    blocking = f"{time.perf_counter() - start:.2f} s for two"

    start = time.perf_counter()
    await asyncio.gather(asynchronous(), asynchronous())
    print(f"blocking    normal: {blocking:16} async: {time.perf_counter() - start:.2f} s for two")


if __name__ == "__main__":
    asyncio.run(main())
