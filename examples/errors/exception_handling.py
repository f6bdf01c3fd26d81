"""Exceptions follow the awaits: through coroutines to the caller, with ``else`` and ``finally``, and out of tasks.

Output::

    fetch(1): ok
    fetch(1): done
    fetch(-1): ValueError: -1 is not an id
    fetch(-1): done
    a task keeps its exception until it is awaited: ValueError
"""

import asyncio


async def load(number):
    await asyncio.sleep(0.01)
    if number < 0:
        raise ValueError(f"{number} is not an id")
    return number


async def fetch(number):
    try:
        await load(number)
    except ValueError as error:
        print(f"fetch({number}): {type(error).__name__}: {error}")
    else:
        print(f"fetch({number}): ok")
    finally:
        print(f"fetch({number}): done")


async def main():
    await fetch(1)
    await fetch(-1)

    task = asyncio.create_task(load(-2))
    await asyncio.sleep(0.05)  # the task has failed by now; nothing happens here
    try:
        await task
    except ValueError as error:
        print("a task keeps its exception until it is awaited:", type(error).__name__)


if __name__ == "__main__":
    asyncio.run(main())
