"""An aggregator in small: ask several services in parallel and make one answer, leaving out those that fail.

The slowest service that answers in time decides how long it takes.  ``examples/aggregator.py`` is the large one.

Output::

    {'user': 'Ada', 'orders': [1, 2, 3], 'weather': None}
    missing: weather (no answer within 1 s)
    services of 0.1 s, 0.2 s and 10 s, answer after: ~1.00 s
"""

import asyncio
import time

SERVICES = {"user": (0.1, "Ada"), "orders": (0.2, [1, 2, 3]), "weather": (10, "sunny")}


async def call(service):
    latency, answer = SERVICES[service]
    await asyncio.sleep(latency)
    return answer


async def call_in_time(service, limit):
    try:
        async with asyncio.timeout(limit):
            return await call(service), None
    except TimeoutError:
        return None, f"no answer within {limit} s"


async def aggregate():
    answers = await asyncio.gather(*(call_in_time(service, 1) for service in SERVICES))
    return dict(zip(SERVICES, answers, strict=True))


async def main():
    start = time.perf_counter()
    answers = await aggregate()
    total = time.perf_counter() - start
    print({service: answer for service, (answer, _) in answers.items()})
    for service, (_, problem) in answers.items():
        if problem:
            print(f"missing: {service} ({problem})")
    print(f"services of 0.1 s, 0.2 s and 10 s, answer after: {total:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
