"""A resource is released however the block ends: normally, by an exception, or by cancellation.

Output::

    normal: acquired
    normal: used
    normal: released (nothing raised)
    error: acquired
    error: released (ValueError)
    cancelled: acquired
    cancelled: released (CancelledError)
"""

import asyncio


class Resource:
    def __init__(self, name):
        self.name = name

    async def __aenter__(self):
        await asyncio.sleep(0.01)
        print(f"{self.name}: acquired")
        return self

    async def __aexit__(self, exc_type, exc_value, traceback):
        await asyncio.sleep(0.01)
        print(f"{self.name}: released ({exc_type.__name__ if exc_type else 'nothing raised'})")
        return False  # do not swallow the exception


async def use(name):
    async with Resource(name):
        if name == "error":
            raise ValueError(name)
        if name == "cancelled":
            await asyncio.sleep(10)
        print(f"{name}: used")


async def main():
    await use("normal")
    try:
        await use("error")
    except ValueError:
        pass
    task = asyncio.create_task(use("cancelled"))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])


if __name__ == "__main__":
    asyncio.run(main())
