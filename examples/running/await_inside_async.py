"""Method 2: ``await``, to call async functions from other async functions.

Output::

    Task 2 got: Task 1
"""

import asyncio


async def task1():
    return "Task 1"


async def task2():
    result = await task1()  # Await inside another async function
    return f"Task 2 got: {result}"


if __name__ == "__main__":
    print(asyncio.run(task2()))
