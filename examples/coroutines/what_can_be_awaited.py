"""The awaitables: a coroutine, a task, a future, and any object with ``__await__``.

Output::

    coroutine: 42
    task: 42
    future: set by a callback
    custom awaitable: ready after 3 turns of the loop
"""

import asyncio


async def some_coroutine():
    await asyncio.sleep(0.01)
    return 42


class Turns:
    """Awaiting it lets the loop turn a number of times."""

    def __init__(self, count):
        self.count = count

    def __await__(self):
        for _ in range(self.count):
            yield  # a bare yield gives control to the loop for one turn
        return f"ready after {self.count} turns of the loop"


async def main():
    result = await some_coroutine()
    print("coroutine:", result)

    task = asyncio.create_task(some_coroutine())
    result = await task
    print("task:", result)

    loop = asyncio.get_running_loop()
    future = loop.create_future()  # asyncio.Future() works too; this lets the loop choose its own class
    loop.call_later(0.01, future.set_result, "set by a callback")
    result = await future
    print("future:", result)

    result = await Turns(3)
    print("custom awaitable:", result)


if __name__ == "__main__":
    asyncio.run(main())
