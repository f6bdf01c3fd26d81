"""TCP echo by ``asyncio.Protocol``: the shortest way from the socket through Python and back."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from bench.case import Echo, Load, loads


class EchoProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEchoProtocol(asyncio.BufferedProtocol):
    """Received into a buffer of the protocol's own; the answer is a copy, because the next message overwrites it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.buffer = memoryview(bytearray(65536))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(bytes(self.buffer[:nbytes]))


async def serve_buffered(size: int, api: Any) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(BufferedEchoProtocol, "127.0.0.1", 0, backlog=1024)


async def serve(size: int, api: Any) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(EchoProtocol, "127.0.0.1", 0, backlog=1024)


LOADS = loads(Load(10, 1024), Load(200, 1024), Load(10, 65536), Load(200, 65536))

CASES = (
    Echo("tcp_protocol", "TCP echo by asyncio.Protocol; floor: C epoll server", serve, LOADS),
    Echo(
        "tcp_buffered",
        "TCP echo by asyncio.BufferedProtocol; floor: C epoll server",
        serve_buffered,
        LOADS,
    ),
)
