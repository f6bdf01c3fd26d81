"""UDP echo by ``asyncio.DatagramProtocol``: each datagram is answered by one, to the address that it came from."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from bench.case import Echo, Load, loads


class EchoProtocol(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


async def serve(size: int, api: Any) -> SimpleNamespace:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(EchoProtocol, ("127.0.0.1", 0))
    return SimpleNamespace(transport=transport, sockets=[transport.get_extra_info("socket")])


CASE = Echo(
    "udp",
    "UDP echo by asyncio.DatagramProtocol",
    serve,
    loads(Load(1, 64), Load(10, 64), Load(100, 64), Load(10, 1024)),
    generator="echo_load_udp",
    floor_program=None,
    long=("1x64b", "100x64b", "10x1k"),
)
