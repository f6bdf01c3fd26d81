"""TCP echo by ``asyncio.Protocol``: the shortest way from the socket through Python and back."""

from __future__ import annotations

import asyncio
from typing import cast

from bench.case import Echo, Load, loads


class EchoProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def serve(size: int) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(EchoProtocol, "127.0.0.1", 0, backlog=1024)


CASE = Echo(
    "tcp_protocol",
    "TCP echo by asyncio.Protocol; floor: C epoll server",
    serve,
    loads(Load(10, 1024), Load(200, 1024), Load(10, 65536), Load(200, 65536)),
)
