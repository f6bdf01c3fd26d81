"""A mix as services have it: look a name up, open a TLS connection, ask an upstream that takes its time, read an answer
that comes in pieces, parse it, work on it.

Both ends run on the loop under test. The upstream's latency is log-normal (median 5 ms, one in a hundred above 50 ms);
one peer in ten is throttled to 4 KiB every 2 ms. The CPU time of a request includes the handshake and the JSON work,
which no loop can make faster: differences here are those that a service would see.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
import ssl
from typing import Any

from bench.case import InProcess
from bench.cases.tls_protocol import server_context

AT_A_TIME = 50
CHUNK = 4096
TIMEOUT = 30.0  # seconds; never reached
DOCUMENT = json.dumps(
    [{"id": i, "name": f"item {i}", "price": i * 1.25, "tags": ["a", "b"]} for i in range(400)]
).encode()
PRICES = sum(i * 1.25 for i in range(400))


async def run(requests: int, api: Any) -> None:
    chances = random.Random(20_24)
    places = asyncio.Semaphore(AT_A_TIME)

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\n")
        await asyncio.sleep(chances.lognormvariate(math.log(0.005), 1.0))
        writer.write(len(DOCUMENT).to_bytes(4, "big"))
        throttled = chances.random() < 0.1
        for start in range(0, len(DOCUMENT), CHUNK):
            writer.write(DOCUMENT[start : start + CHUNK])
            await writer.drain()
            if throttled:
                await asyncio.sleep(0.002)
        writer.close()

    loop = asyncio.get_running_loop()
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    server = await asyncio.start_server(upstream, "127.0.0.1", 0, ssl=server_context(), backlog=1024)
    port = server.sockets[0].getsockname()[1]

    async def request() -> None:
        async with places, asyncio.timeout(TIMEOUT):
            found = await loop.getaddrinfo("localhost", port, family=socket.AF_INET, type=socket.SOCK_STREAM)
            reader, writer = await asyncio.open_connection(*found[0][4][:2], ssl=trusting)
            writer.write(b"items\n")
            size = int.from_bytes(await reader.readexactly(4), "big")
            items = json.loads(await reader.readexactly(size))
            if sum(item["price"] for item in items) != PRICES:
                raise RuntimeError("the upstream sent something else")
            writer.close()
            await writer.wait_closed()

    await asyncio.gather(*[request() for _ in range(requests)])
    server.close()


CASE = InProcess(
    "realistic",
    "look-up, TLS connection, slow upstream, throttled answers, JSON: both ends on the loop",
    "request",
    run,
    count=200,
    quick_count=5,
    network=True,
)
