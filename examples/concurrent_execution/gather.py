"""Pattern 1: ``asyncio.gather()`` runs several coroutines and returns their results in the order of the arguments.

Output::

    ['User 1', 'User 2', 'User 3']
    three waits of 0.1 s: ~0.10 s
"""

import asyncio
import time


async def fetch_user(user_id):
    await asyncio.sleep(0.1)
    return f"User {user_id}"


async def main():
    start = time.perf_counter()
    # Start all tasks concurrently
    results = await asyncio.gather(
        fetch_user(1),
        fetch_user(2),
        fetch_user(3),
    )
    print(results)  # ['User 1', 'User 2', 'User 3']
    print(f"three waits of 0.1 s: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
