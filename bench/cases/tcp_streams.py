"""TCP echo by asyncio's streams: messages of a known size, read exactly, answered and drained."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.case import Echo, Load, loads


async def serve(size: int, api: Any) -> Any:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await reader.readexactly(size))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has finished
        finally:
            writer.close()

    return await api.start_server(answer, "127.0.0.1", 0, backlog=1024)


CASE = Echo(
    "tcp_streams",
    "TCP echo by asyncio streams (readexactly, write, drain); floor: C epoll server",
    serve,
    uses=("start_server",),
    long=("10x1k", "10x64k", "200x64k"),
    loads=loads(Load(10, 1024), Load(200, 1024), Load(10, 65536), Load(200, 65536)),
)
