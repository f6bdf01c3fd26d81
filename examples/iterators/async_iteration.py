"""Iterate over what arrives in time: while one consumer waits for its next message, another one gets its own.

Output::

    news: message 1
    chat: message 1
    news: message 2
    chat: message 2
    news: message 3
    chat: message 3
    6 messages in the time of the slower feed: ~0.30 s
"""

import asyncio
import time


class Feed:
    """Three messages, one every tenth of a second, after an offset."""

    def __init__(self, name, offset):
        self.name = name
        self.offset = offset
        self.number = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.number == 3:
            raise StopAsyncIteration
        await asyncio.sleep(0.05 + self.offset if self.number == 0 else 0.1)
        self.number += 1
        return f"{self.name}: message {self.number}"


# Usage:
async def consume(feed):
    async for message in feed:
        print(message)


async def main():
    start = time.perf_counter()
    await asyncio.gather(consume(Feed("news", 0)), consume(Feed("chat", 0.05)))
    print(f"6 messages in the time of the slower feed: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
