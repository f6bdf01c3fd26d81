"""The problem with blocking I/O: a server that blocks for each client makes the last one wait for all before it.

The same three clients, each needing 0.1 s of waiting: with blocking calls they are served in turn, with async ones
all at the same time.

Output::

    blocking: client 1 served after ~0.10 s
    blocking: client 2 served after ~0.20 s
    blocking: client 3 served after ~0.30 s
    async: client 1 served after ~0.10 s
    async: client 2 served after ~0.10 s
    async: client 3 served after ~0.10 s
"""

import asyncio
import time


def serve_blocking(client, start):
    time.sleep(0.1)
    print(f"blocking: client {client} served after {time.perf_counter() - start:.2f} s")


async def serve_async(client, start):
    await asyncio.sleep(0.1)
    print(f"async: client {client} served after {time.perf_counter() - start:.2f} s")


async def main():
    start = time.perf_counter()
    await asyncio.gather(*(serve_async(client, start) for client in (1, 2, 3)))


if __name__ == "__main__":
    start = time.perf_counter()
    for client in (1, 2, 3):
        serve_blocking(client, start)
    asyncio.run(main())
