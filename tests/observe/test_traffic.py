"""What a loop counts of its network: bytes, and connections."""

from __future__ import annotations

import array
import asyncio
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from hocket.observe import LoopFacts, snapshot
from tests.unit.loops import OURS, run

BIG = os.urandom(3 << 20)


@pytest.fixture(params=OURS, ids=lambda factory: factory.__name__)
def factory(request: Any) -> Callable[[], asyncio.AbstractEventLoop]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other


def facts() -> LoopFacts:
    """What is so of the loop that runs."""
    number = asyncio.get_running_loop()._number  # type: ignore[attr-defined]
    [found] = [loop for loop in snapshot().loops if loop.number == number]
    return found


def traffic() -> tuple[int, int]:
    loop = facts()
    return loop.bytes_received, loop.bytes_sent


def connections() -> tuple[int, int, int]:
    loop = facts()
    return loop.connections_accepted, loop.connections_opened, loop.connections_closed


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def ask(port: int, message: bytes, **options: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    writer.write(message)
    assert await reader.readexactly(len(message)) == message
    writer.close()
    await writer.wait_closed()


async def all_closed() -> None:
    """Until as many connections are closed as were opened."""
    async with asyncio.timeout(10):
        while connections()[1] != connections()[2]:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("message", [b"ping", BIG], ids=["small", "big"])
def test_streams(factory: Any, message: bytes) -> None:
    """Both ends are this loop's: all that is sent is received, there and back, however many pieces it took."""

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            await ask(server.sockets[0].getsockname()[1], message)
        await all_closed()
        assert traffic() == (2 * len(message), 2 * len(message))

    run(factory, main())


def test_a_buffered_protocol(factory: Any, pair: Any) -> None:
    """What goes straight into a protocol's own buffer is counted too."""
    one, other = pair

    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.memory = bytearray(100)
            self.got = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.memory

        def buffer_updated(self, nbytes: int) -> None:
            self.got.set_result(nbytes)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(Buffered, sock=one)
        other.send(b"x" * 30)
        assert await protocol.got == 30
        assert traffic() == (30, 0)
        transport.close()

    run(factory, main())


def test_tls_is_counted_as_the_socket_has_it(factory: Any) -> None:
    """Bytes are those on the wire: more than the application's, and as many received as sent."""
    authority = trustme.CA()
    server_side, client_side = (context(side, authority) for side in (True, False))

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_side)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await ask(port, b"x" * 1000, ssl=client_side, server_hostname="localhost")
        await all_closed()
        received, sent = traffic()
        assert received == sent > 2000
        assert connections() == (1, 2, 2)

    run(factory, main())


def context(server: bool, authority: trustme.CA) -> Any:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    if server:
        authority.issue_cert("localhost").configure_cert(context)
    else:
        authority.configure_trust(context)
    return context


def test_connections(factory: Any) -> None:
    """A connection within the loop is accepted once and opened twice; when both ends are closed, none is open."""

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(10):
                while connections() != (1, 2, 0):
                    await asyncio.sleep(0.001)
            writer.close()
            await all_closed()
        assert connections() == (1, 2, 2)

    run(factory, main())


def test_an_aborted_connection_is_closed(factory: Any, pair: Any) -> None:
    """Whatever ends a connection, it is counted once."""

    async def main() -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=pair[0])
        transport.abort()
        transport.close()
        await asyncio.sleep(0.01)
        assert connections() == (0, 1, 1)

    run(factory, main())


def test_sock_methods(factory: Any, pair: Any) -> None:
    """The calls on the user's own sockets."""
    one, other = pair

    async def main() -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(one, b"x" * 10)
        assert traffic() == (0, 10)
        await loop.sock_recv(other, 4)
        assert traffic() == (4, 10)
        await loop.sock_recv_into(other, bytearray(4))
        assert traffic() == (8, 10)
        await loop.sock_recvfrom(other, 1)
        assert traffic() == (9, 10)
        await loop.sock_recvfrom_into(other, bytearray(4))
        assert traffic() == (10, 10)

    run(factory, main())


def test_sock_methods_that_wait(factory: Any, pair: Any) -> None:
    """More than fits into the socket at once."""
    one, other = pair

    async def receive() -> None:
        rest = len(BIG)
        while rest:
            rest -= len(await asyncio.get_running_loop().sock_recv(other, 65536))

    async def main() -> None:
        await asyncio.gather(asyncio.get_running_loop().sock_sendall(one, BIG), receive())
        assert traffic() == (len(BIG), len(BIG))

    run(factory, main())


def test_sockets_of_another_class(factory: Any) -> None:
    """Sockets that are used by their own methods."""

    class Own(socket.socket):
        pass

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = socket.socketpair()
        with one, other, Own(fileno=one.detach()) as mine, Own(fileno=other.detach()) as yours:
            for sock in (mine, yours):
                sock.setblocking(False)
            await loop.sock_sendall(mine, b"x" * 10)
            await loop.sock_recv(yours, 4)
            await loop.sock_recv_into(yours, bytearray(4))
        assert traffic() == (8, 10)

    run(factory, main())


def test_datagrams(factory: Any) -> None:
    """What an endpoint sends and hands to its protocol; elements of a memoryview may be larger than a byte."""

    class Receiver(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.got = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.got.set_result(data)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        receiving, protocol = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
        address = receiving.get_extra_info("sockname")
        sending, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
        sending.sendto(memoryview(array.array("I", [1, 2, 3])))
        assert len(await protocol.got) == 12
        assert traffic() == (12, 12)
        sending.close()
        receiving.close()

    run(factory, main())


def test_sock_sendto(factory: Any) -> None:
    """A datagram on the user's own socket."""

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
            await asyncio.get_running_loop().sock_sendto(sock, b"x" * 7, sock.getsockname())
        assert traffic() == (0, 7)

    run(factory, main())


def test_pipes(factory: Any) -> None:
    """Both ends of a pipe, with more than it holds."""

    class Reader(asyncio.Protocol):
        def __init__(self) -> None:
            self.ended = asyncio.get_running_loop().create_future()

        def connection_lost(self, exc: Exception | None) -> None:
            self.ended.set_result(None)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        _, protocol = await loop.connect_read_pipe(Reader, os.fdopen(reading, "rb", 0))
        transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(writing, "wb", 0))
        transport.write(BIG)
        transport.write(b"and more")
        transport.close()
        await protocol.ended
        assert traffic() == (len(BIG) + 8, len(BIG) + 8)

    run(factory, main())


def test_a_file_sent_by_the_kernel(factory: Any, pair: Any) -> None:
    """`sock_sendfile` counts what the kernel has sent."""

    async def main() -> None:
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 5000)
            file.seek(0)
            await asyncio.get_running_loop().sock_sendfile(pair[0], file)
        assert traffic() == (0, 5000)

    run(factory, main())
