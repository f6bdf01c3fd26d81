"""How TLS connections begin and end: handshakes that fail, goodbyes, broken records, sudden ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Any

import pytest

from .loops import EVERY, OURS, Reports, run
from .peers import BufferedRecorder, Recorder, until
from .tls_peers import TlsPeer, client_context, connect, server_context, socket_pair, tls_connection

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)
both_sides = pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])

BIG = bytes(range(256)) * 16384


# -- The handshake


@our_loops
def test_refused_certificate_is_told_to_the_peer(factory: Any) -> None:
    """A client without the certificate that the server wants gets the alert that says so, not a reset."""

    async def main() -> None:
        ours, peer = socket_pair()
        tls = TlsPeer(peer, client_context(), server_side=False)
        with peer:
            server = asyncio.create_task(connect(Recorder, ours, server_context(trusting=True), True))
            with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                await tls.handshake()  # To a client of TLS 1.3 that is all there is to it,
                await tls.receive(1)  # and the alert comes when it wants to read.
            with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
                await server

    run(factory, main())


@our_loops
def test_untrusted_server_is_told(factory: Any) -> None:
    """A server whose certificate the client does not trust is told why the client goes."""

    async def main() -> None:
        ours, peer = socket_pair()
        tls = TlsPeer(peer, server_context(), server_side=True)
        with peer:
            client = asyncio.create_task(connect(Recorder, ours, ssl.create_default_context(), False))
            with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
                await tls.handshake()
                await tls.receive(1)
            with pytest.raises(ssl.SSLCertVerificationError):
                await client

    run(factory, main())


@every_loop
@both_sides
@pytest.mark.parametrize("sent", [0, 1, 5, 100])
def test_peer_goes_during_the_handshake(factory: Any, server_side: bool, sent: int) -> None:
    """A peer that closes before, or in the middle of, its first message ends in ConnectionResetError."""

    async def main() -> None:
        ours, peer = socket_pair()
        context, other = server_context(), client_context()
        if not server_side:
            context, other = other, context
        tls = TlsPeer(peer, other, server_side=not server_side)
        attempt = asyncio.create_task(connect(Recorder, ours, context, server_side))
        with peer:
            if server_side:
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.session.do_handshake()
                await asyncio.get_running_loop().sock_sendall(peer, tls.outgoing.read()[:sent])
            else:
                await asyncio.get_running_loop().sock_recv(peer, 1 << 16)
        with pytest.raises(ConnectionResetError):
            await attempt

    run(factory, main())


@every_loop
@both_sides
def test_handshake_takes_too_long(factory: Any, server_side: bool) -> None:
    """A peer that says nothing is given up after ssl_handshake_timeout."""

    async def main() -> None:
        ours, peer = socket_pair()
        context = server_context() if server_side else client_context()
        with peer:
            message = "SSL handshake is taking longer than 0.05 seconds: aborting the connection"
            with pytest.raises(ConnectionAbortedError, match=message):
                await connect(Recorder, ours, context, server_side, ssl_handshake_timeout=0.05)

    run(factory, main())


@every_loop
@pytest.mark.parametrize("turns", range(6))
def test_cancelled_while_connecting(factory: Any, turns: int) -> None:
    """A connection whose making is cancelled is closed, however far it had got, and its protocol never hears of it."""

    async def main() -> None:
        ours, peer = socket_pair()
        with peer:
            protocols: list[Recorder] = []

            def make() -> Recorder:
                protocols.append(Recorder())
                return protocols[0]

            attempt = asyncio.create_task(connect(make, ours, client_context(), False))
            for _ in range(turns):
                await asyncio.sleep(0)
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            if protocols:
                # The end of the stream, behind the beginning of a handshake if there was one.
                while await asyncio.get_running_loop().sock_recv(peer, 1 << 16):
                    pass
                assert protocols[0].names == []
            else:
                ours.close()

    run(factory, main())


@every_loop
def test_failing_connection_made(factory: Any) -> None:
    """A protocol whose connection_made() raises is reported; the connection ends with the exception."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        with pytest.raises(ValueError, match="broken"):
            async with tls_connection(lambda: Recorder(connection_made=ValueError("broken"))):
                pass
        await asyncio.sleep(0.05)
        assert reports.messages == ["Fatal error: protocol.buffer_updated() call failed."]

    run(factory, main())


# -- Goodbyes


@every_loop
@both_sides
def test_close_says_goodbye(factory: Any, server_side: bool) -> None:
    """close() sends what is buffered, then close_notify; when the peer's has come, connection_lost(None)."""

    async def main() -> None:
        async with tls_connection(server_side=server_side) as it:
            it.transport.write(BIG)
            it.transport.close()
            assert it.transport.is_closing()
            assert await it.tls.receive() == BIG
            assert not it.protocol.lost.done()
            await it.tls.goodbye()
            assert await it.protocol.lost is None

    run(factory, main())


@our_loops
@both_sides
def test_data_after_close_is_dropped(factory: Any, server_side: bool) -> None:
    """What the peer sends before it learns of our close() is no error: it is dropped, connection_lost(None)."""

    async def main() -> None:
        async with tls_connection(server_side=server_side) as it:
            it.transport.close()
            await it.tls.send(BIG[: 1 << 19])
            await it.tls.goodbye()
            assert await it.protocol.lost is None
            assert it.protocol.data == b""

    run(factory, main())


@our_loops
def test_peer_that_goes_on_sending_is_left(factory: Any) -> None:
    """An abandoned download is not read to its end: after another megabyte the connection is closed, with None."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.close()
            with pytest.raises(ConnectionError):
                while True:
                    await it.tls.send(BIG[: 1 << 16])
            assert await it.protocol.lost is None

    run(factory, main())


@our_loops
def test_close_inside_data_received(factory: Any) -> None:
    """A protocol that closes when it has had enough gets nothing more, though more had come already."""

    async def main() -> None:
        async with tls_connection(
            lambda: BufferedRecorder(4, buffer_updated=lambda self: self.transport.close())
        ) as it:
            await it.tls.send(b"0123456789")
            await it.tls.goodbye()
            assert await it.protocol.lost is None
            assert it.protocol.data == b"0123"

    run(factory, main())


@every_loop
def test_goodbye_is_not_answered(factory: Any) -> None:
    """A peer that does not say goodbye too is left after ssl_shutdown_timeout, with TimeoutError."""

    async def main() -> None:
        async with tls_connection(ssl_shutdown_timeout=0.05) as it:
            it.transport.close()
            lost = await it.protocol.lost
            assert isinstance(lost, TimeoutError) and str(lost) == "SSL shutdown timed out"

    run(factory, main())


@every_loop
def test_peer_says_goodbye(factory: Any) -> None:
    """The peer's close_notify is eof_received(); asking to stay open has no effect, and a warning says so."""

    async def main() -> None:
        async with tls_connection(lambda: Recorder(eof_received=True)) as it:
            await it.tls.goodbye()
            assert await it.protocol.lost is None
            assert it.protocol.names == ["connection_made", "eof_received", "connection_lost"]

    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("asyncio").addHandler(handler)
    try:
        run(factory, main())
    finally:
        logging.getLogger("asyncio").removeHandler(handler)
    wanted = "returning true from eof_received() has no effect when using ssl"
    assert [record for record in records if "eof_received" in record] == [wanted]


@every_loop
def test_peer_goes_without_goodbye(factory: Any) -> None:
    """The end of the stream without close_notify is eof_received() and connection_lost(None), as in asyncio."""

    async def main() -> None:
        async with tls_connection() as it:
            await it.tls.send(b"last words")
            it.peer.close()
            assert await it.protocol.lost is None
            assert it.protocol.data == b"last words"
            assert it.protocol.names == ["connection_made", "data_received", "eof_received", "connection_lost"]

    run(factory, main())


@every_loop
def test_peer_resets(factory: Any) -> None:
    """A reset connection is lost with ConnectionResetError."""

    async def main() -> None:
        async with tls_connection() as it:
            it.reset()
            assert isinstance(await it.protocol.lost, ConnectionResetError)

    run(factory, main())


@every_loop
def test_abort(factory: Any) -> None:
    """abort() ends at once, with None, and the peer is not told goodbye."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.abort()
            assert await it.protocol.lost is None
            with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
                await it.tls.receive(1)

    run(factory, main())


@every_loop
def test_end_while_reading_is_paused(factory: Any) -> None:
    """What came before the end of the stream is delivered when reading is resumed, then the end."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.pause_reading()
            await it.tls.send(b"last words")
            it.peer.close()
            await asyncio.sleep(0.05)
            assert it.protocol.names == ["connection_made"]
            it.transport.resume_reading()
            assert await it.protocol.lost is None
            assert it.protocol.data == b"last words"
            assert it.protocol.names == ["connection_made", "data_received", "eof_received", "connection_lost"]

    run(factory, main())


@our_loops
def test_close_after_the_end_while_paused(factory: Any) -> None:
    """Who closes instead of reading the rest is done with it: connection_lost(None), and nothing delivered."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.pause_reading()
            await it.tls.send(b"unwanted")
            it.peer.close()
            await asyncio.sleep(0.05)
            it.transport.close()
            assert await asyncio.wait_for(it.protocol.lost, 5) is None
            assert it.protocol.data == b""

    run(factory, main())


@our_loops
def test_close_while_the_peer_is_held_back(factory: Any) -> None:
    """close() with reading paused, and the transport beneath as well, reads on to the peer's goodbye."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.pause_reading()
            await it.tls.send(BIG[: 3 << 18])
            await until(lambda: it.transport.get_read_buffer_size() > 1 << 18)
            it.transport.close()
            await it.tls.goodbye()
            assert await it.protocol.lost is None

    run(factory, main())


@every_loop
def test_writes_after_close_are_counted(factory: Any) -> None:
    """What is written after close() is dropped; from the fifth time on a warning says so."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.close()
            for _ in range(7):
                it.transport.write(b"too late")
            assert await it.tls.receive() == b""

    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("asyncio").addHandler(handler)
    try:
        run(factory, main())
    finally:
        logging.getLogger("asyncio").removeHandler(handler)
    assert [record for record in records if "SSL" in record] == ["SSL connection is closed"] * 2


# -- Damage


@our_loops
@pytest.mark.parametrize("kind", [Recorder, BufferedRecorder])
def test_damaged_record(factory: Any, kind: Any) -> None:
    """What came before a damaged record is delivered, the peer is told, and the connection is lost with SSLError."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with tls_connection(kind) as it:
            good, bad = it.tls.encrypted(b"good"), bytearray(it.tls.encrypted(b"bad"))
            bad[-1] ^= 1
            await it.send(good + bad)
            lost = await it.protocol.lost
            # OpenSSL 3.5 calls it a failure of the record layer.
            assert isinstance(lost, ssl.SSLError) and lost.reason in (
                "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
                "RECORD_LAYER_FAILURE",
            )
            assert it.protocol.data == b"good"
            with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
                await it.tls.receive(1)
        assert reports.messages == []

    run(factory, main())


@every_loop
@pytest.mark.parametrize(
    ("method", "message"),
    [("data_received", "Fatal error on SSL protocol"), ("eof_received", "Error calling eof_received()")],
)
def test_failing_protocol(factory: Any, method: str, message: str) -> None:
    """A protocol whose data_received() or eof_received() raises is reported and loses the connection with it."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with tls_connection(lambda: Recorder(**{method: ValueError("broken")})) as it:
            await it.tls.send(b"x")
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await it.tls.goodbye()
            assert isinstance(await it.protocol.lost, ValueError)
        assert reports.messages == [message]

    run(factory, main())


@every_loop
def test_interrupt_in_a_protocol_leaves_the_loop(factory: Any) -> None:
    """KeyboardInterrupt in data_received() or pause_writing() leaves run(), as from any callback."""

    async def main() -> None:
        async with tls_connection(lambda: Recorder(data_received=KeyboardInterrupt())) as it:
            await it.tls.send(b"x")
            await it.protocol.lost

    with pytest.raises(KeyboardInterrupt):
        run(factory, main())


@our_loops
def test_nothing_of_a_connection_is_left(factory: Any) -> None:
    """A closed TLS connection, its context and its session are freed without the garbage collector."""
    import gc
    import weakref

    class Context(ssl.SSLContext):
        pass

    async def main() -> None:
        references = []
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                context = client_context(kind=Context)
                async with tls_connection(context=context) as it:
                    it.transport.close()
                    await it.tls.goodbye()
                    await it.protocol.lost
                    references += [weakref.ref(context), weakref.ref(it.transport)]
                    it.protocol.on.clear()
                del context, it
            await asyncio.sleep(0.01)
            assert [reference() for reference in references] == [None] * 6
        finally:
            gc.enable()

    run(factory, main())
