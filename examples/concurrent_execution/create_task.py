"""Pattern 2: ``asyncio.create_task()`` starts tasks that run while the caller does other work.

Output::

    Tasks started, doing other work...
    Still doing work...
    Task 1 completed
    Task 2 completed
"""

import asyncio


async def background_task(name):
    await asyncio.sleep(0.2)
    print(f"{name} completed")


async def main():
    # Create tasks (start immediately)
    task1 = asyncio.create_task(background_task("Task 1"))
    task2 = asyncio.create_task(background_task("Task 2"))

    # Do other work while tasks run
    print("Tasks started, doing other work...")
    await asyncio.sleep(0.1)
    print("Still doing work...")

    # Wait for tasks to complete
    await task1
    await task2


if __name__ == "__main__":
    asyncio.run(main())
