"""A peer that does not keep up is held back by flow control, and costs a bounded amount of memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

import hocket

CHUNK = bytes(64 * 1024)
PEERS = 20
# What every peer is offered: without flow control the process would hold 20 times 64 MiB.
CHUNKS = 1024


def resident() -> int:
    """Memory of this process, in bytes, that is backed by pages at this moment."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


async def settled(value: Callable[[], int]) -> int:
    """Wait until `value` has not changed for half a second, and return it."""
    last = -1
    while (now := value()) != last:
        last = now
        await asyncio.sleep(0.5)
        # On a busy machine time may be over before its turns have begun.
        for _ in range(10):
            await asyncio.sleep(0)
    return now


class Server:
    """A server on sockets with small buffers, so that the kernel hides little, with `peers` that are plain sockets.

    At the end the peers go first, then the connections of the server, then the tasks of `handle`.
    """

    def __init__(self, handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.handle = handle
        self.writers: list[asyncio.StreamWriter] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.peers: list[socket.socket] = []

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.tasks.append(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await self.handle(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the end of the test: the peer left, or __aexit__ does not want to wait for us

    async def __aenter__(self) -> Server:
        listener = socket.create_server(("127.0.0.1", 0))
        small_buffers(listener)
        self.server = await asyncio.start_server(self.run, sock=listener)
        return self

    async def __aexit__(self, *_: object) -> None:
        for peer in self.peers:
            peer.close()
        for writer in self.writers:
            if not writer.is_closing():
                writer.transport.abort()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.server.close()
        await asyncio.sleep(0)

    def connect(self) -> socket.socket:
        """Connect one more peer, a blocking socket."""
        peer = socket.socket()
        small_buffers(peer)
        peer.connect(self.server.sockets[0].getsockname())
        self.peers.append(peer)
        return peer


def small_buffers(of: socket.socket) -> None:
    of.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    of.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["auto", "selector"])
def test_writer_is_held_back_by_peers_that_never_read(driver: str) -> None:
    """drain() waits, the transport's buffer stays at its limit and memory flat, while the loop goes on serving."""
    written = 0
    buffered = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written, buffered
        for _ in range(CHUNKS):
            writer.write(CHUNK)
            written += len(CHUNK)
            buffered = max(buffered, writer.transport.get_write_buffer_size())
            await writer.drain()

    async def main() -> None:
        async with Server(flood) as server:
            before = resident()
            for _ in range(PEERS):
                server.connect()
            total = await settled(lambda: written)
            grown = resident() - before
            high_water = server.writers[0].transport.get_write_buffer_limits()[1]  # type: ignore[attr-defined]
            assert len(server.writers) == PEERS
            assert buffered <= high_water + len(CHUNK)
            assert total < PEERS * 16 * len(CHUNK)
            assert grown < 32 * 2**20

    with asyncio.Runner(loop_factory=lambda: hocket.new_event_loop(driver=driver)) as runner:
        runner.run(main())


@pytest.mark.slow
def test_writer_goes_on_when_the_peer_reads() -> None:
    """A peer that reads late gets every byte, in order."""
    chunks = 200

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(chunks):
            writer.write(number.to_bytes(4) * 16384)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with Server(send) as server:
            peer = server.connect()
            await asyncio.sleep(0.2)  # long enough to fill every buffer on the way

            def read_all() -> bytes:
                received = bytearray()
                while data := peer.recv(2**20):
                    received += data
                return bytes(received)

            received = await asyncio.to_thread(read_all)
            assert received == b"".join(number.to_bytes(4) * 16384 for number in range(chunks))

    hocket.run(main())


@pytest.mark.slow
def test_sender_is_held_back_by_a_reader_that_never_reads() -> None:
    """A StreamReader nobody reads from pauses its transport: the peer can send no more than the buffers hold."""

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        async with Server(ignore) as server:
            before = resident()
            for _ in range(PEERS):
                server.connect().setblocking(False)
            sent = 0
            for _ in range(20):  # in between the server takes what it wants out of the kernel's buffers
                for peer in server.peers:
                    try:
                        while True:
                            sent += peer.send(CHUNK)
                    except BlockingIOError:
                        pass
                await asyncio.sleep(0.02)
            grown = resident() - before
            assert sent < PEERS * 16 * len(CHUNK)
            assert grown < 32 * 2**20

    hocket.run(main())
