"""``return_exceptions=True`` makes ``gather()`` return exceptions among the results instead of raising the first.

``i`` counts from 0, so that task(2) is "Task 1" in the output.

Output::

    Task 0 succeeded: 1
    Task 1 failed: Task 2 failed!
    Task 2 succeeded: 3
"""

import asyncio


async def task(n):
    if n == 2:
        raise ValueError(f"Task {n} failed!")
    await asyncio.sleep(0.1)
    return n


async def main():
    # return_exceptions=True returns exceptions instead of raising
    results = await asyncio.gather(
        task(1),
        task(2),
        task(3),
        return_exceptions=True,
    )

    for i, result in enumerate(results):
        if isinstance(result, Exception):
            print(f"Task {i} failed: {result}")
        else:
            print(f"Task {i} succeeded: {result}")


if __name__ == "__main__":
    asyncio.run(main())
