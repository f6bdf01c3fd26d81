"""`hocket.open_connection`, `hocket.start_server` and kin over real sockets, on hocket's loop and on asyncio's."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import hocket

from .loops import EVERY, Reports, run
from .tls_peers import client_context, server_context

EACH_LOOP = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)


@contextlib.asynccontextmanager
async def served(handler: Any, **options: Any) -> AsyncIterator[tuple[str, int]]:
    """The address of a server on loopback that runs *handler*."""
    server = await hocket.start_server(handler, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        await server.wait_closed()


async def echo(reader: Any, writer: Any) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def over(writer: Any) -> None:
    writer.close()
    await writer.wait_closed()


def reset(sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@EACH_LOOP
def test_echo_over_tcp(factory: Any) -> None:
    """Small and large messages, pieces and all, until the end."""

    async def main() -> None:
        async with served(echo) as address:
            reader, writer = await hocket.open_connection(*address)
            for size in (1, 1000, 300_000):
                message = bytes(range(256)) * (size // 256 + 1)
                writer.writelines([message[: size // 2], message[size // 2 : size]])
                await writer.drain()
                assert await reader.readexactly(size) == message[:size]
            assert writer.can_write_eof()
            writer.write_eof()
            assert await reader.read() == b"" and reader.at_eof()
            assert writer.get_extra_info("peername") == address and writer.get_extra_info("nothing", 5) == 5
            assert not writer.is_closing() and writer.transport.get_extra_info("socket") is not None
            await over(writer)
            assert writer.is_closing()

    run(factory, main())


@EACH_LOOP
def test_echo_over_unix_socket(factory: Any, tmp_path: Path) -> None:
    """The same over a path."""

    async def main() -> None:
        path = str(tmp_path / "socket")
        server = await hocket.start_unix_server(echo, path)
        reader, writer = await hocket.open_unix_connection(path)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        await over(writer)
        server.close()
        await server.wait_closed()

    run(factory, main())


@EACH_LOOP
def test_echo_over_tls(factory: Any) -> None:
    """Encrypted from the start."""

    async def main() -> None:
        async with served(echo, ssl=server_context()) as address:
            reader, writer = await hocket.open_connection(*address, ssl=client_context(), server_hostname="localhost")
            message = b"x" * 200_000
            writer.write(message)
            await writer.drain()
            assert await reader.readexactly(len(message)) == message
            assert not writer.can_write_eof()
            await over(writer)

    run(factory, main())


@EACH_LOOP
def test_start_tls(factory: Any) -> None:
    """Upgraded in the middle, by both writers; the readers go on."""

    async def handler(reader: Any, writer: Any) -> None:
        assert await reader.readline() == b"upgrade\n"
        writer.write(b"go on\n")
        await writer.start_tls(server_context())
        assert reader._transport is writer.transport
        await echo(reader, writer)

    async def main() -> None:
        async with served(handler) as address:
            reader, writer = await hocket.open_connection(*address)
            writer.write(b"upgrade\n")
            assert await reader.readline() == b"go on\n"
            await writer.start_tls(client_context(), server_hostname="localhost")
            assert writer.get_extra_info("sslcontext") is not None
            writer.write(b"secret\n")
            assert await reader.readline() == b"secret\n"
            await over(writer)

    run(factory, main())


@EACH_LOOP
def test_connection_that_is_refused(factory: Any) -> None:
    """The error is the kernel's, and nothing is left open."""

    async def main() -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))  # It does not listen, and nobody else can.
            with pytest.raises(ConnectionRefusedError):
                await hocket.open_connection(*silent.getsockname())

    run(factory, main())


@EACH_LOOP
def test_cancelled_read_loses_nothing(factory: Any) -> None:
    """A client that gives up and tries again, over and over, gets every byte."""

    async def handler(reader: Any, writer: Any) -> None:
        for number in range(200):
            writer.write(b"%04d" % number)
            await asyncio.sleep(0)
        await over(writer)

    async def main() -> bytes:
        got = b""
        async with served(handler) as address:
            reader, writer = await hocket.open_connection(*address)
            while not reader.at_eof():
                task = asyncio.ensure_future(reader.readexactly(12))
                await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    try:
                        got += await task
                    except asyncio.IncompleteReadError as error:
                        got += error.partial
            await over(writer)
        return got

    assert run(factory, main()) == b"".join(b"%04d" % number for number in range(200))


@EACH_LOOP
def test_drain_waits_for_a_peer_that_does_not_read(factory: Any) -> None:
    """And goes on when it reads; cancelling whoever waits harms nobody."""

    async def main() -> None:
        started, read = asyncio.Event(), asyncio.Event()

        async def handler(reader: Any, writer: Any) -> None:
            started.set()
            await read.wait()
            assert len(await reader.read()) == 2 * size
            await over(writer)

        size = 8_000_000
        async with served(handler) as address:
            _, writer = await hocket.open_connection(*address)
            await started.wait()
            writer.write(bytes(size))
            first, second = (asyncio.ensure_future(writer.drain()) for _ in range(2))
            await asyncio.sleep(0.05)
            assert not first.done() and not second.done()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            read.set()
            await second
            writer.write(bytes(size))
            writer.write_eof()
            await writer.drain()
            await over(writer)

    run(factory, main())


@EACH_LOOP
def test_reader_holds_a_fast_peer_back(factory: Any) -> None:
    """Not more than twice the limit and what one read brings is buffered, and all arrives in the end."""

    async def handler(reader: Any, writer: Any) -> None:
        writer.write(bytes(4_000_000))
        await over(writer)

    async def main() -> None:
        async with served(handler) as address:
            reader, writer = await hocket.open_connection(*address, limit=1000)
            while not reader._paused:
                await asyncio.sleep(0.001)
            assert len(reader._buffer) <= 2000 + 256 * 1024
            assert len(await reader.readexactly(1_000_000)) == 1_000_000
            assert len(await reader.read()) == 3_000_000
            await over(writer)

    run(factory, main())


@EACH_LOOP
def test_peer_that_resets(factory: Any) -> None:
    """Reading, draining and waiting for the end all say so."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reader, writer = await hocket.open_connection(*listener.getsockname())
            peer, _ = listener.accept()
            task = asyncio.ensure_future(reader.read(1))
            await asyncio.sleep(0)
            reset(peer)
            for awaitable in (task, reader.readline(), writer.drain(), writer.wait_closed()):
                with pytest.raises(ConnectionResetError):
                    await awaitable
            assert isinstance(reader.exception(), ConnectionResetError)

    run(factory, main())


@EACH_LOOP
def test_drain_after_close(factory: Any) -> None:
    """It lets the connection end, and then says that it is lost."""

    async def main() -> None:
        async with served(echo) as address:
            _, writer = await hocket.open_connection(*address)
            writer.close()
            with pytest.raises(ConnectionResetError, match="Connection lost"):
                for _ in range(10):
                    await writer.drain()
            await writer.wait_closed()

    run(factory, main())


@EACH_LOOP
def test_peer_that_goes_while_somebody_drains(factory: Any) -> None:
    """Whoever waits for it to read is told."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            _, writer = await hocket.open_connection(*listener.getsockname())
            peer, _ = listener.accept()
            writer.write(bytes(10_000_000))
            task = asyncio.ensure_future(writer.drain())
            await asyncio.sleep(0)
            reset(peer)
            with pytest.raises(OSError):
                await task
            with pytest.raises(OSError):
                await over(writer)

    run(factory, main())


@EACH_LOOP
@pytest.mark.parametrize("plain", [False, True], ids=["coroutine", "function"])
def test_handler_that_fails_is_reported(factory: Any, plain: bool) -> None:
    """And its connection is closed."""

    async def coroutine(reader: Any, writer: Any) -> None:
        raise ValueError("handler")

    def function(reader: Any, writer: Any) -> None:
        raise ValueError("handler")

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with served(function if plain else coroutine) as address:
            reader, writer = await hocket.open_connection(*address)
            assert await reader.read() == b""
            await over(writer)
        assert reports.messages == ["Unhandled exception in client_connected_cb"]

    run(factory, main())


@EACH_LOOP
def test_handler_that_is_cancelled_closes_its_connection(factory: Any) -> None:
    """Without a report."""

    async def handler(reader: Any, writer: Any) -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await reader.read()

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with served(handler) as address:
            reader, writer = await hocket.open_connection(*address)
            assert await reader.read() == b""
            await over(writer)
        assert reports.messages == []

    run(factory, main())


@EACH_LOOP
def test_writer_that_goes_unclosed(factory: Any) -> None:
    """It warns, and its connection is closed."""

    async def main() -> None:
        async with served(echo) as address:
            _, writer = await hocket.open_connection(*address)
            transport = writer.transport
            del _
            with pytest.warns(ResourceWarning, match="unclosed <StreamWriter"):
                del writer
            gc.collect()
            assert transport.is_closing()
            await asyncio.sleep(0.01)

    run(factory, main())


@EACH_LOOP
def test_handler_sees_the_context_of_the_server(factory: Any) -> None:
    """And keeps what it sets to itself, while data comes and goes."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")

    async def main() -> None:
        seen = []

        async def handler(reader: Any, writer: Any) -> None:
            seen.append(variable.get())
            variable.set("handler")
            line = await reader.readline()
            seen.append(variable.get())
            writer.write(line)
            await over(writer)

        variable.set("server")
        async with served(handler) as address:
            variable.set("client")
            reader, writer = await hocket.open_connection(*address)
            writer.write(b"line\n")
            assert await reader.readline() == b"line\n"
            await over(writer)
        assert seen == ["server", "handler"] and variable.get() == "client"

    run(factory, main())


@EACH_LOOP
def test_write_that_somebody_has_replaced(factory: Any) -> None:
    """What a test puts in place of a method of the transport is called."""

    async def main() -> None:
        async with served(echo) as address:
            _, writer = await hocket.open_connection(*address)
            written = []
            writer.transport.write = written.append
            writer.write(b"data")
            assert written == [b"data"]
            del writer.transport.write
            await over(writer)

    run(factory, main())


@EACH_LOOP
def test_protocol_of_ones_own(factory: Any) -> None:
    """A subclass that overrides `data_received` is called, and a writer over it drains and closes."""

    class Counting(hocket.StreamReaderProtocol):
        count = 0

        def data_received(self, data: bytes) -> None:
            self.count += len(data)
            super().data_received(data)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with served(echo) as address:
            reader = hocket.StreamReader()
            protocol = Counting(reader)
            transport, _ = await loop.create_connection(lambda: protocol, *address)
            writer = hocket.StreamWriter(transport, protocol, reader, loop)
            writer.write(b"hello")
            await writer.drain()
            assert await reader.readexactly(5) == b"hello" and protocol.count == 5
            await over(writer)

    run(factory, main())


@EACH_LOOP
def test_asyncios_writer_over_ours_and_the_other_way_round(factory: Any) -> None:
    """Readers, writers and protocols of both kinds go together."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with served(echo) as address:
            for reader_kind, protocol_kind, writer_kind in [
                (hocket.StreamReader, asyncio.StreamReaderProtocol, hocket.StreamWriter),
                (asyncio.StreamReader, hocket.StreamReaderProtocol, hocket.StreamWriter),
                (hocket.StreamReader, hocket.StreamReaderProtocol, asyncio.StreamWriter),
            ]:
                reader: Any = reader_kind(loop=loop)
                protocol: Any = protocol_kind(reader, loop=loop)
                transport, _ = await loop.create_connection(lambda protocol=protocol: protocol, *address)
                writer: Any = writer_kind(transport, protocol, reader, loop)
                writer.write(b"line\n")
                await writer.drain()
                assert await reader.readline() == b"line\n"
                await over(writer)

    run(factory, main())


def test_writer_needs_a_reader_or_none() -> None:
    """Anything else is refused by name."""

    async def main() -> None:
        with pytest.raises(AssertionError, match="must be a StreamReader or None, got 5"):
            hocket.StreamWriter(None, None, 5, None)

    hocket.run(main())


def test_pausing_has_an_order() -> None:
    """As asyncio's protocol insists, and what happens is logged in debug mode."""

    async def main() -> None:
        protocol = hocket.StreamReaderProtocol(hocket.StreamReader())
        with pytest.raises(AssertionError):
            protocol.resume_writing()
        protocol.pause_writing()
        with pytest.raises(AssertionError):
            protocol.pause_writing()
        protocol.resume_writing()
        protocol.connection_lost(None)

    hocket.run(main(), debug=True)
