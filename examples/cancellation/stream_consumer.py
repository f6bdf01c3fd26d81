"""A consumer that is cancelled flushes its offsets and re-raises, so that whoever cancelled it knows that it ended.

Output::

    handled message 1
    handled message 2
    handled message 3
    offsets flushed at 3
    consumer cancelled: True
"""

import asyncio


class Channel:
    """Three messages, and then silence."""

    def __init__(self):
        self.count = 0
        self.silent = asyncio.Event()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.count == 3:
            self.silent.set()
            await asyncio.sleep(10)
        await asyncio.sleep(0.01)
        self.count += 1
        return f"message {self.count}"


handled = 0


async def handle(msg):
    global handled
    await asyncio.sleep(0.01)
    handled += 1
    print("handled", msg)


async def flush_offsets():
    await asyncio.sleep(0.01)
    print("offsets flushed at", handled)


async def stream_consumer(ch):
    try:
        async for msg in ch:
            await handle(msg)
    except asyncio.CancelledError:
        await flush_offsets()
        raise


async def main():
    channel = Channel()
    consumer = asyncio.create_task(stream_consumer(channel))
    await channel.silent.wait()
    consumer.cancel()
    await asyncio.wait([consumer])
    print("consumer cancelled:", consumer.cancelled())


if __name__ == "__main__":
    asyncio.run(main())
