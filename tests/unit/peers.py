"""A connected transport, the socket at its other end, and a protocol that writes down what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any


class Recorder(asyncio.Protocol):
    """Writes down every call; *on* names methods to run something in, or which fail with it."""

    def __init__(self, **on: Any) -> None:
        self.on = on
        self.calls: list[Any] = []
        self.data = bytearray()
        self.transport: Any = None
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def _note(self, name: str, *arguments: Any) -> Any:
        self.calls.append((name, *arguments))
        react = self.on.get(name)
        if isinstance(react, BaseException):
            raise react
        return react(self) if callable(react) else react

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._note("connection_made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self._note("data_received")

    def eof_received(self) -> Any:
        return self._note("eof_received")

    def pause_writing(self) -> None:
        self._note("pause_writing")

    def resume_writing(self) -> None:
        self._note("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(exc)
        self._note("connection_lost", type(exc))

    @property
    def names(self) -> list[str]:
        """The methods that were called, several data_received in a row as one."""
        names: list[str] = []
        for name, *_ in self.calls:
            if name != "data_received" or names[-1:] != [name]:
                names.append(name)
        return names


class BufferedRecorder(asyncio.BufferedProtocol):
    """The same with a buffer of its own."""

    def __init__(self, size: int = 4, **on: Any) -> None:
        self.on = on
        self.buffer = bytearray(size)
        self.data = bytearray()
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> Any:
        if "get_buffer" in self.on:
            return self.on["get_buffer"](self)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]
        if "buffer_updated" in self.on:
            self.on["buffer_updated"](self)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Connection:
    """One end a transport of the running loop, the other a non-blocking socket, whose methods are coroutines here."""

    def __init__(self, transport: Any, protocol: Any, peer: socket.socket) -> None:
        self.transport = transport
        self.protocol = protocol
        self.peer = peer

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.peer, data)

    async def receive(self, count: int) -> bytes:
        """*count* bytes, or fewer if the stream ends."""
        received = bytearray()
        while len(received) < count:
            data = await asyncio.get_running_loop().sock_recv(self.peer, min(1 << 20, count - len(received)))
            if not data:
                break
            received += data
        return bytes(received)

    async def receive_all(self) -> bytes:
        return await self.receive(1 << 40)

    def reset(self) -> None:
        """Close the peer's end so that the transport is told "connection reset"."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.peer.close()


@contextlib.asynccontextmanager
async def connection(factory: Callable[[], Any] = Recorder, unix: bool = False) -> AsyncIterator[Connection]:
    """A connected pair; everything is closed in the end."""
    loop = asyncio.get_running_loop()
    if unix:
        ours, peer = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            ours = socket.create_connection(server.getsockname())
            peer, _ = server.accept()
    ours.setblocking(False)
    peer.setblocking(False)
    transport, protocol = await loop.create_connection(factory, sock=ours)
    try:
        yield Connection(transport, protocol, peer)
    finally:
        # asyncio's own transport cannot be aborted any more once it is lost.
        with contextlib.suppress(AttributeError):
            transport.abort()
        peer.close()
        for _ in range(3):
            await asyncio.sleep(0)


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until *condition* holds; fail if it does not in so many seconds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)
