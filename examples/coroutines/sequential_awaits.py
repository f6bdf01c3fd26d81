"""Each ``await`` waits for the one before it to finish: the total is the sum of the waits.

Output::

    {'user': {'id': 123, 'name': 'User 123'}, 'posts': ['Post 0', 'Post 1', 'Post 2']}
    0.1 s + 0.2 s = ~0.30 s
"""

import asyncio
import time


async def fetch_user(user_id):
    # Simulate database query
    await asyncio.sleep(0.1)
    return {"id": user_id, "name": f"User {user_id}"}


async def fetch_posts(user_id):
    # Simulate API call
    await asyncio.sleep(0.2)
    return [f"Post {i}" for i in range(3)]


async def get_user_with_posts(user_id):
    # These run sequentially (each await waits)
    user = await fetch_user(user_id)
    posts = await fetch_posts(user_id)
    return {"user": user, "posts": posts}


async def main():
    start = time.perf_counter()
    result = await get_user_with_posts(123)
    print(result)
    print(f"0.1 s + 0.2 s = {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
