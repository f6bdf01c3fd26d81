"""Exercise 2, async resource pool: at most N connections, lent out and taken back, whatever happens to the borrower.

A broken connection is thrown away and its place given to a new one; a borrower that is cancelled while waiting takes
none with it; closing waits until all are back.

Output::

    10 borrowers shared 3 connections, at most 3 at once
    idle connections are used again: 3 were made
    after an error in the block: 3 free
    a broken connection was replaced: 4 were made
    a cancelled wait lost nothing: 3 free
    no connection free in time: TimeoutError
    closed: True, borrowing now: RuntimeError
"""

import asyncio
from collections import deque
from contextlib import asynccontextmanager


class Connection:
    made = 0

    def __init__(self):
        Connection.made += 1
        self.broken = False
        self.closed = False

    async def query(self):
        await asyncio.sleep(0.02)

    async def close(self):
        await asyncio.sleep(0.001)
        self.closed = True


async def connect():
    await asyncio.sleep(0.005)
    return Connection()


class Pool:
    """Lends connections: ``async with pool.borrow() as connection``.

    ``size`` is the most that exist; they are made when first needed.  ``places`` counts those that may be borrowed
    now, idle or not made yet.
    """

    def __init__(self, connect, size):
        self.connect = connect
        self.size = size
        self.places = asyncio.Semaphore(size)
        self.idle = deque()
        self.lent = 0
        self.closed = False

    @property
    def free(self):
        return self.size - self.lent

    @asynccontextmanager
    async def borrow(self, timeout=None):
        """Wait for a connection, at most ``timeout`` seconds (TimeoutError)."""
        self.check_open()
        async with asyncio.timeout(timeout):
            await self.places.acquire()
        try:
            self.check_open()
            self.lent += 1
            try:
                connection = self.idle.pop() if self.idle else await self.connect()
                try:
                    yield connection
                finally:
                    await self.take_back(connection)
            finally:
                self.lent -= 1
        finally:
            self.places.release()

    async def take_back(self, connection):
        if connection.broken or self.closed:
            await connection.close()
        else:
            self.idle.append(connection)

    async def close(self):
        """Refuse new borrowers, wait for the connections that are lent, close all."""
        self.closed = True
        for _ in range(self.size):
            await self.places.acquire()
        while self.idle:
            await self.idle.pop().close()
        for _ in range(self.size):
            self.places.release()  # whoever still waits finds the pool closed

    def check_open(self):
        if self.closed:
            raise RuntimeError("the pool is closed")


async def main():
    pool = Pool(connect, size=3)
    most = 0

    async def borrower():
        nonlocal most
        async with pool.borrow() as connection:
            most = max(most, pool.lent)
            await connection.query()

    await asyncio.gather(*(borrower() for _ in range(10)))
    print(f"10 borrowers shared {pool.size} connections, at most {most} at once")
    print(f"idle connections are used again: {Connection.made} were made")

    try:
        async with pool.borrow():
            raise ValueError
    except ValueError:
        print(f"after an error in the block: {pool.free} free")

    async with pool.borrow() as connection:
        connection.broken = True
    await asyncio.gather(*(borrower() for _ in range(3)))
    print(f"a broken connection was replaced: {Connection.made} were made")

    async with pool.borrow(), pool.borrow(), pool.borrow():
        waiting = asyncio.create_task(borrower())
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting])
    print(f"a cancelled wait lost nothing: {pool.free} free")

    async with pool.borrow(), pool.borrow(), pool.borrow():
        try:
            async with pool.borrow(timeout=0.02):
                pass
        except TimeoutError:
            print("no connection free in time: TimeoutError")

    used = list(pool.idle)
    await pool.close()
    try:
        async with pool.borrow():
            pass
    except RuntimeError as error:
        print(f"closed: {all(connection.closed for connection in used)}, borrowing now: {type(error).__name__}")


if __name__ == "__main__":
    asyncio.run(main())
