"""Datagram endpoints of the running loop, and a protocol that writes down what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator
from typing import Any


class Receiver(asyncio.DatagramProtocol):
    """Writes down every call; *on* names methods to run something in (with this protocol), or which fail with it."""

    def __init__(self, **on: Any) -> None:
        self.on = on
        self.calls: list[Any] = []
        self.received: list[tuple[bytes, Any]] = []
        self.transport: Any = None
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def _note(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, *arguments))
        react = self.on.get(name)
        if isinstance(react, BaseException):
            raise react
        if callable(react):
            react(self)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._note("connection_made")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))
        self._note("datagram_received", data)

    def error_received(self, exc: Exception) -> None:
        self._note("error_received", type(exc))

    def pause_writing(self) -> None:
        self._note("pause_writing")

    def resume_writing(self) -> None:
        self._note("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(exc)
        self._note("connection_lost", type(exc))

    @property
    def data(self) -> list[bytes]:
        return [data for data, _ in self.received]


class Endpoint:
    """A transport, its protocol, and a blocking socket of the same family to talk to it."""

    def __init__(self, transport: Any, protocol: Receiver, peer: socket.socket) -> None:
        self.transport = transport
        self.protocol = protocol
        self.peer = peer
        self.address = transport.get_extra_info("sockname")

    def send(self, *datagrams: bytes) -> None:
        for data in datagrams:
            self.peer.sendto(data, self.address)


@contextlib.asynccontextmanager
async def endpoint(
    protocol: Receiver | None = None, host: str = "127.0.0.1", **options: Any
) -> AsyncIterator[Endpoint]:
    """An unconnected UDP endpoint; everything is closed in the end."""
    protocol = protocol or Receiver()
    if not options:
        options = {"local_addr": (host, 0)}
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, **options)
    family = transport.get_extra_info("socket").family
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.settimeout(10)
        if family != socket.AF_UNIX:
            peer.bind((host, 0))
        try:
            yield Endpoint(transport, protocol, peer)
        finally:
            await end(transport)


@contextlib.asynccontextmanager
async def unix_pair(protocol: Receiver | None = None) -> AsyncIterator[Endpoint]:
    """An endpoint that is connected to its peer, and that has to wait when the peer does not read."""
    protocol = protocol or Receiver()
    with (
        tempfile.TemporaryDirectory() as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer,
    ):
        # With names, because asyncio's own transport takes one whose peer has none for unconnected.
        ours.bind(f"{directory}/ours")
        peer.bind(f"{directory}/peer")
        ours.connect(f"{directory}/peer")
        peer.connect(f"{directory}/ours")
        peer.settimeout(10)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, sock=ours)
        try:
            yield Endpoint(transport, protocol, peer)
        finally:
            await end(transport)


async def end(transport: Any) -> None:
    # asyncio's own transport cannot be aborted any more once it is lost.
    with contextlib.suppress(AttributeError):
        transport.abort()
    for _ in range(3):
        await asyncio.sleep(0)


def fill(transport: Any, size: int = 1000) -> int:
    """Send until the socket takes no more; returns how many datagrams it has taken."""
    taken = 0
    while not transport.get_write_buffer_size():
        transport.sendto(b"%06d" % taken + bytes(size - 6))
        taken += 1
        assert taken < 10_000 and not transport.is_closing()
    return taken - 1
