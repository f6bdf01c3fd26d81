"""Does one kind of work many times and prints what the process held before and after: memory, descriptors, objects.

Before the first measurement the same work is done once on a smaller scale, so that caches, pools and imported modules
are there already.
"""

import asyncio
import gc
import json
import os
import sys

import hocket


def held() -> dict[str, int]:
    for _ in range(3):
        gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return {"memory": pages * 4096, "descriptors": len(os.listdir("/proc/self/fd")), "objects": len(gc.get_objects())}


async def connections(count: int) -> None:
    """Open, use and close connections, fifty at a time; both ends are in this process."""

    async def handle(reader, writer) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello\n")
        assert await reader.read() == b"hello\n"
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(count // 50):
        await asyncio.gather(*(client(port) for _ in range(50)))
    server.close()
    await server.wait_closed()


async def tasks(count: int) -> None:
    """Make tasks, a thousand at a time; one in ten fails and one in ten is cancelled."""

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        if number % 10 == 1:
            raise ValueError(number)
        return number

    for _ in range(count // 1000):
        batch = [asyncio.create_task(work(number)) for number in range(1000)]
        for task in batch[::10]:
            task.cancel()
        await asyncio.gather(*batch, return_exceptions=True)


async def timers(count: int) -> None:
    """Set timers an hour ahead, a hundred thousand at a time, then cancel them all."""
    loop = asyncio.get_running_loop()
    for _ in range(max(1, count // 100_000)):
        for timer in [loop.call_later(3600, print) for _ in range(min(count, 100_000))]:
            timer.cancel()
        await asyncio.sleep(0)


async def timeouts(count: int) -> None:
    """Set a timer an hour ahead and cancel it at once, as a timeout that is not needed, while one timer stays."""
    loop = asyncio.get_running_loop()
    staying = loop.call_later(3600, print)
    for number in range(count):
        loop.call_later(3600, print).cancel()
        if number % 1000 == 0:
            await asyncio.sleep(0)
    staying.cancel()


async def main(kind: str, count: int) -> None:
    work = globals()[kind]
    await work(count // 10)
    before = held()
    await work(count)
    after = held()
    print(json.dumps({"before": before, "after": after}))


if __name__ == "__main__":
    hocket.run(main(sys.argv[1], int(sys.argv[2])))
