"""Upgrading an open connection to TLS: what had been written, what had been received, and what can go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

import pytest

from .loops import EVERY, OURS, run
from .peers import connection, until
from .tls_peers import TlsPeer, client_context, server_context, tls_connection

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)
both_sides = pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])

BIG = bytes(range(256)) * 32768


async def upgrade(it: Any, server_side: bool, **options: Any) -> Any:
    """Upgrade the transport of *it*."""
    context = server_context() if server_side else client_context()
    name = None if server_side else "localhost"
    return await asyncio.get_running_loop().start_tls(
        it.transport, it.protocol, context, server_side=server_side, server_hostname=name, **options
    )


def peer_of(it: Any, server_side: bool) -> TlsPeer:
    """The other side of the upgraded connection."""
    context = client_context() if server_side else server_context()
    return TlsPeer(it.peer, context, server_side=not server_side)


@every_loop
@both_sides
def test_upgrade(factory: Any, server_side: bool) -> None:
    """Data passes both ways, the protocol's connection_made() is not called again, and both can say goodbye."""

    async def main() -> None:
        async with connection() as it:
            tls = peer_of(it, server_side)
            transport, _ = await asyncio.gather(upgrade(it, server_side), tls.handshake())
            assert transport is not it.transport
            assert type(transport.get_extra_info("ssl_object")) is ssl.SSLObject
            transport.write(b"hello")
            assert await tls.receive(5) == b"hello"
            await tls.send(b"world")
            await until(lambda: it.protocol.data == b"world")
            transport.close()
            await tls.goodbye()
            assert await it.protocol.lost is None
            assert it.protocol.names == ["connection_made", "data_received", "eof_received", "connection_lost"]

    run(factory, main())


@every_loop
def test_what_was_written_before_leaves_before(factory: Any) -> None:
    """Bytes written in the turn of the upgrade arrive in the clear, ahead of the handshake."""

    async def main() -> None:
        async with connection() as it:
            tls = peer_of(it, True)
            it.transport.write(b"220 go ahead\r\n")
            upgrading = asyncio.create_task(upgrade(it, True))
            assert await it.receive(14) == b"220 go ahead\r\n"
            await tls.handshake()
            (await upgrading).abort()

    run(factory, main())


@our_loops
def test_upgrade_while_writing_is_paused(factory: Any) -> None:
    """A protocol that was told to stop writing before the upgrade is told to go on after it, when it may."""

    async def main() -> None:
        async with connection() as it:
            it.transport.write(BIG)
            assert it.protocol.names == ["connection_made", "pause_writing"]
            tls = peer_of(it, True)
            upgrading = asyncio.create_task(upgrade(it, True))
            await asyncio.sleep(0.01)
            assert it.protocol.names == ["connection_made", "pause_writing"]
            assert await it.receive(len(BIG)) == BIG
            await tls.handshake()
            transport = await upgrading
            await until(lambda: it.protocol.names == ["connection_made", "pause_writing", "resume_writing"])
            transport.write(BIG)
            assert await tls.receive(len(BIG)) == BIG
            transport.abort()

    run(factory, main())


@our_loops
def test_hello_behind_the_request(factory: Any) -> None:
    """A client that sends its hello without waiting for the answer: what the StreamReader holds is not lost."""

    async def main() -> None:
        upgraded: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"STARTTLS\n"
            await asyncio.sleep(0.05)
            await writer.start_tls(server_context())
            upgraded.set_result(await reader.readline())
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            session.do_handshake()
        writer.write(b"STARTTLS\n" + outgoing.read())
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                incoming.write(await reader.read(1 << 16))
        session.write(b"hello\n")
        writer.write(outgoing.read())
        assert await upgraded == b"hello\n"
        writer.close()
        server.close()
        await server.wait_closed()

    run(factory, main())


@every_loop
def test_tls_inside_tls(factory: Any) -> None:
    """A TLS transport can be upgraded again, as for an https proxy that is itself reached by https."""

    async def main() -> None:
        async with tls_connection() as it:
            outer = it.tls
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            inner = server_context().wrap_bio(incoming, outgoing, server_side=True)

            async def drive(operation: Any, *arguments: Any) -> Any:
                while True:
                    try:
                        result = operation(*arguments)
                        await outer.send(outgoing.read())
                        return result
                    except ssl.SSLWantReadError:
                        await outer.send(outgoing.read())
                        incoming.write(await outer._do(outer.session.read, 1 << 16))

            transport, _ = await asyncio.gather(upgrade(it, False), drive(inner.do_handshake))
            transport.write(BIG)
            received = bytearray()
            while len(received) < len(BIG):
                received += await drive(inner.read, 1 << 16)
            assert received == BIG
            for start in range(0, len(BIG), 1 << 16):
                await drive(inner.write, BIG[start : start + 16384])
            await until(lambda: len(it.protocol.data) == len(BIG) // 4)
            transport.abort()
            assert await it.protocol.lost is None

    run(factory, main())


@our_loops
@pytest.mark.parametrize("how", ["close", "reset", "garbage", "silence"])
def test_failed_upgrade_is_the_end(factory: Any, how: str) -> None:
    """An upgrade that fails raises, closes the connection, and the protocol learns that it is lost; once."""

    async def main() -> None:
        async with connection() as it:
            upgrading = asyncio.create_task(upgrade(it, False, ssl_handshake_timeout=0.1 if how == "silence" else 30))
            await it.receive(100)
            if how == "close":
                it.peer.close()
            elif how == "reset":
                it.reset()
            elif how == "garbage":
                await it.send(b"this is not TLS at all")
            with pytest.raises(ssl.SSLError if how == "garbage" else ConnectionError):
                await upgrading
            await it.protocol.lost
            await asyncio.sleep(0)
            assert it.protocol.names == ["connection_made", "connection_lost"]

    run(factory, main())


@every_loop
@pytest.mark.parametrize("turns", range(4))
def test_cancelled_upgrade(factory: Any, turns: int) -> None:
    """Cancelling an upgrade closes the connection, however far it had got."""

    async def main() -> None:
        async with connection() as it:
            upgrading = asyncio.create_task(upgrade(it, False))
            for _ in range(turns):
                await asyncio.sleep(0)
            upgrading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await upgrading
            if turns:
                assert it.transport.is_closing()
                await it.receive_all()
            else:
                it.transport.abort()

    run(factory, main())


@every_loop
@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_closing_transport_is_not_upgraded(factory: Any, how: str) -> None:
    """There is no transport to return, and nothing to raise."""

    async def main() -> None:
        async with connection() as it:
            getattr(it.transport, how)()
            assert await upgrade(it, False) is None

    run(factory, main())


@every_loop
def test_wrong_arguments_are_refused(factory: Any) -> None:
    """Something else than a context or a transport that can be upgraded raises TypeError, and nothing has happened."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection() as it:
            with pytest.raises(TypeError, match=r"expected to be an instance of ssl\.SSLContext, got None"):
                await loop.start_tls(it.transport, it.protocol, None)
            with pytest.raises(TypeError, match="is not supported by start_tls"):
                await loop.start_tls(asyncio.Transport(), it.protocol, client_context())
            with pytest.raises(ValueError, match="ssl_handshake_timeout should be a positive number, got 0"):
                await loop.start_tls(it.transport, it.protocol, client_context(), ssl_handshake_timeout=0)
            assert it.transport.get_protocol() is it.protocol
            it.transport.write(b"still here")
            assert await it.receive(10) == b"still here"

    run(factory, main())
