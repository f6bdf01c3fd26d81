"""5. Use type hints: calling an ``async def`` gives a coroutine, awaiting it the annotated type.

Output::

    [{'id': 1, 'name': 'User 1'}, {'id': 2, 'name': 'User 2'}]
    fetch_users returns list[dict] once awaited
"""

import asyncio
from typing import Any, get_type_hints

User = dict[str, Any]


async def fetch_user(user_id: int) -> User:
    await asyncio.sleep(0.01)
    return {"id": user_id, "name": f"User {user_id}"}


async def fetch_users(user_ids: list[int]) -> list[dict]:  # List[int] and List[dict] before Python 3.9
    """Fetch user data for given IDs."""
    tasks = [fetch_user(uid) for uid in user_ids]
    return await asyncio.gather(*tasks)


async def main() -> None:
    users: list[User] = await fetch_users([1, 2])
    print(users)
    print("fetch_users returns", get_type_hints(fetch_users)["return"], "once awaited")


if __name__ == "__main__":
    asyncio.run(main())
