"""``@asynccontextmanager`` makes a context manager of an async generator, and ``AsyncExitStack`` opens many.

Output::

    transaction: begin
    transaction: commit
    transaction: begin
    transaction: roll back because of ValueError
    open: one, two, three
    closed in reverse: three, two, one
"""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

closed = []


@asynccontextmanager
async def transaction():
    print("transaction: begin")
    await asyncio.sleep(0.01)
    try:
        yield
    except BaseException as error:
        print(f"transaction: roll back because of {type(error).__name__}")
        raise
    else:
        print("transaction: commit")


@asynccontextmanager
async def connection(name):
    await asyncio.sleep(0.01)
    try:
        yield name
    finally:
        closed.append(name)


async def main():
    async with transaction():
        await asyncio.sleep(0.01)
    try:
        async with transaction():
            raise ValueError
    except ValueError:
        pass

    async with AsyncExitStack() as stack:
        names = [await stack.enter_async_context(connection(name)) for name in ("one", "two", "three")]
        print("open:", ", ".join(names))
    print("closed in reverse:", ", ".join(closed))


if __name__ == "__main__":
    asyncio.run(main())
