"""An async iterator: ``__aiter__`` returns it, ``__anext__`` may wait and raises ``StopAsyncIteration`` at the end.

Output::

    0
    1
    2
    3
    4
"""

import asyncio


class AsyncRange:
    def __init__(self, start, end):
        self.current = start
        self.end = end

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.current >= self.end:
            raise StopAsyncIteration

        await asyncio.sleep(0.01)  # Simulate async operation
        self.current += 1
        return self.current - 1


async def main():
    async for number in AsyncRange(0, 5):
        print(number)


if __name__ == "__main__":
    asyncio.run(main())
