"""An async context manager: ``__aenter__`` and ``__aexit__`` may wait, here for a connection and its clean-up.

Output::

    Connecting to database...
    Connected!
    Results for: SELECT * FROM users
    Closing connection...
    Connection closed
"""

import asyncio


class AsyncDatabaseConnection:
    async def __aenter__(self):
        print("Connecting to database...")
        await asyncio.sleep(0.1)  # Simulate connection time
        print("Connected!")
        return self

    async def __aexit__(self, exc_type, exc_val, exc_tb):
        print("Closing connection...")
        await asyncio.sleep(0.05)  # Simulate cleanup
        print("Connection closed")

    async def query(self, sql):
        await asyncio.sleep(0.01)
        return f"Results for: {sql}"


async def main():
    async with AsyncDatabaseConnection() as db:
        result = await db.query("SELECT * FROM users")
        print(result)


if __name__ == "__main__":
    asyncio.run(main())
