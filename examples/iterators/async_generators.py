"""Async generators: chained into a pipeline, in comprehensions, and closed for certain when left early.

Output::

    pipeline: [0, 4, 16, 36]
    comprehension: {1: 'odd', 3: 'odd'}
    first over 2: 3
    the sensor was switched off
"""

import asyncio
from contextlib import aclosing


async def numbers(count):
    for number in range(count):
        await asyncio.sleep(0.005)
        yield number


async def even(source):
    async for number in source:
        if number % 2 == 0:
            yield number


async def squares(source):
    async for number in source:
        yield number * number


async def sensor():
    try:
        async for number in numbers(1000):
            yield number
    finally:
        await asyncio.sleep(0.005)  # cleaning up may wait, too
        print("the sensor was switched off")


async def main():
    print("pipeline:", [value async for value in squares(even(numbers(8)))])
    print("comprehension:", {n: "odd" async for n in numbers(4) if n % 2})

    # aclosing() runs the generator's finally here and now; without it that happens some time later.
    async with aclosing(sensor()) as readings:
        async for reading in readings:
            if reading > 2:
                print("first over 2:", reading)
                break


if __name__ == "__main__":
    asyncio.run(main())
