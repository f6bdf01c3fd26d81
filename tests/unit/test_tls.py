"""TLS transports: what the application reads and writes, and what it can know of the session."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from typing import Any

import pytest

from .loops import EVERY, OURS, Reports, run
from .peers import BufferedRecorder, Recorder, until
from .tls_peers import TlsPeer, client_context, connect, server_context, socket_pair, tls_connection

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)
both_sides = pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])

BIG = os.urandom(4 << 20)


# -- Reading and writing


@every_loop
@both_sides
def test_data_passes_both_ways(factory: Any, server_side: bool) -> None:
    """Megabytes arrive whole and in order in both directions, and both sides can say goodbye."""

    async def main() -> None:
        async with tls_connection(server_side=server_side) as it:
            it.transport.write(BIG)
            assert await it.tls.receive(len(BIG)) == BIG
            await it.tls.send(BIG)
            await until(lambda: len(it.protocol.data) == len(BIG))
            assert it.protocol.data == BIG
            await it.tls.goodbye()
            assert await it.protocol.lost is None
            assert it.protocol.names == [
                "connection_made",
                *(["pause_writing", "resume_writing"] if "pause_writing" in it.protocol.names else []),
                "data_received",
                "eof_received",
                "connection_lost",
            ]

    run(factory, main())


@every_loop
def test_data_comes_in_any_pieces(factory: Any) -> None:
    """Records that arrive byte by byte, or several in one, are put together."""

    async def main() -> None:
        async with tls_connection() as it:
            encrypted = it.tls.encrypted(b"one ") + it.tls.encrypted(b"two ") + it.tls.encrypted(b"three")
            for byte in encrypted[:-1]:
                await it.send(bytes([byte]))
                await asyncio.sleep(0)
            await until(lambda: it.protocol.data == b"one two ")
            await it.send(encrypted[-1:] + it.tls.encrypted(b" four"))
            await until(lambda: it.protocol.data == b"one two three four")

    run(factory, main())


@our_loops
def test_buffered_protocol_gets_its_data(factory: Any) -> None:
    """A BufferedProtocol's own buffer is filled again and again until nothing is left, also across records.

    (asyncio loses what should follow in a buffer that is not a memoryview.)
    """

    async def main() -> None:
        async with tls_connection(lambda: BufferedRecorder(7)) as it:
            await it.tls.send(BIG[:100_000])
            await until(lambda: len(it.protocol.data) == 100_000)
            assert it.protocol.data == BIG[:100_000]
            await it.tls.goodbye()
            assert await it.protocol.lost is None

    run(factory, main())


@our_loops
def test_empty_buffer_is_refused(factory: Any) -> None:
    """A BufferedProtocol whose get_buffer() returns nothing is told so, and the connection ends."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with tls_connection(lambda: BufferedRecorder(get_buffer=lambda _: bytearray())) as it:
            await it.tls.send(b"x")
            assert isinstance(await it.protocol.lost, RuntimeError)
        assert reports.messages == ["Fatal error on SSL protocol"]
        assert "returned an empty buffer" in str(reports.contexts[0]["exception"])

    run(factory, main())


@every_loop
def test_protocol_can_be_replaced(factory: Any) -> None:
    """set_protocol() takes effect with the next data, also from one kind of protocol to the other."""

    async def main() -> None:
        async with tls_connection() as it:
            await it.tls.send(b"first")
            await until(lambda: it.protocol.data == b"first")
            second = BufferedRecorder()
            it.transport.set_protocol(second)
            assert it.transport.get_protocol() is second
            await it.tls.send(b"second")
            await until(lambda: second.data == b"second")

    run(factory, main())


@every_loop
@pytest.mark.parametrize("data", [bytearray(b"abcd"), memoryview(b"abcd"), b"abcd"], ids=lambda it: type(it).__name__)
def test_bytes_like_objects_are_written(factory: Any, data: Any) -> None:
    """write() and writelines() take bytes, bytearrays and memoryviews; nothing is sent for an empty one."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.write(data)
            it.transport.write(b"")
            it.transport.writelines([data, b"z"])
            assert await it.tls.receive(9) == b"abcdabcdz"

    run(factory, main())


@our_loops
def test_wide_items_count_in_bytes(factory: Any) -> None:
    """A memoryview of something wider than bytes is sent whole."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.write(memoryview(BIG[:200_000]).cast("I"))
            assert await it.tls.receive(200_000) == BIG[:200_000]

    run(factory, main())


@our_loops
@pytest.mark.parametrize("data", ["text", 5, None, ["x"]])
def test_other_types_are_refused(factory: Any, data: Any) -> None:
    """What is not bytes-like raises TypeError at once, in write() and writelines(), and nothing of it is sent."""

    async def main() -> None:
        async with tls_connection() as it:
            with pytest.raises(TypeError, match=type(data).__name__):
                it.transport.write(data)
            with pytest.raises(TypeError, match=type(data).__name__):
                it.transport.writelines([b"before", data])
            it.transport.write(b"after")
            assert await it.tls.receive(5) == b"after"

    run(factory, main())


@every_loop
def test_half_close_is_refused(factory: Any) -> None:
    """TLS has no end of writing alone: can_write_eof() says so and write_eof() raises."""

    async def main() -> None:
        async with tls_connection() as it:
            assert it.transport.can_write_eof() is False
            with pytest.raises(NotImplementedError):
                it.transport.write_eof()

    run(factory, main())


@every_loop
def test_pause_reading_holds_data_back(factory: Any) -> None:
    """Between pause_reading() and resume_reading() nothing is delivered, and the peer is slowed down in the end."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.pause_reading()
            assert it.transport.is_reading() is False
            sending = asyncio.create_task(it.tls.send(BIG * 4))
            await until(lambda: it.transport.get_read_buffer_size() > 0)
            await asyncio.sleep(0.2)
            assert it.protocol.data == b"" and not sending.done()
            assert it.transport.get_read_buffer_size() > 0
            it.transport.resume_reading()
            assert it.transport.is_reading() is True
            await sending
            await until(lambda: len(it.protocol.data) == 4 * len(BIG))
            assert it.protocol.data == BIG * 4

    run(factory, main())


@our_loops
def test_pausing_while_data_is_delivered(factory: Any) -> None:
    """A protocol that pauses in data_received() gets nothing more until it resumes, then the rest."""

    async def main() -> None:
        async with tls_connection(
            lambda: BufferedRecorder(5, buffer_updated=lambda self: self.transport.pause_reading())
        ) as it:
            await it.tls.send(b"0123456789")
            await until(lambda: it.protocol.data)
            await asyncio.sleep(0.01)
            assert it.protocol.data == b"01234"
            it.transport.resume_reading()
            await until(lambda: it.protocol.data == b"0123456789")

    run(factory, main())


@every_loop
def test_writer_is_paused_and_resumed(factory: Any) -> None:
    """pause_writing() is called when the peer does not read, resume_writing() once it has."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.set_write_buffer_limits(high=100_000)
            assert it.transport.get_write_buffer_limits() == (25_000, 100_000)
            for _ in range(8):
                it.transport.write(BIG)
            assert it.protocol.names == ["connection_made", "pause_writing"]
            assert it.transport.get_write_buffer_size() > 100_000
            assert await it.tls.receive(8 * len(BIG)) == 8 * BIG
            await until(lambda: it.protocol.names == ["connection_made", "pause_writing", "resume_writing"])
            assert it.transport.get_write_buffer_size() == 0

    run(factory, main())


@our_loops
def test_limits_of_zero(factory: Any) -> None:
    """With limits of zero a writer is paused as soon as something is buffered, not when nothing is."""

    async def main() -> None:
        async with tls_connection() as it:
            it.transport.set_write_buffer_limits(high=0)
            it.transport.write(b"taken at once")
            assert await it.tls.receive(13) == b"taken at once"
            assert it.protocol.names == ["connection_made"]
            it.transport.pause_reading()
            it.transport.set_read_buffer_limits(high=0)
            assert it.transport.get_read_buffer_limits() == (0, 0)
            it.transport.resume_reading()
            await it.tls.send(b"still read")
            await until(lambda: it.protocol.data == b"still read")

    run(factory, main())


@every_loop
@pytest.mark.parametrize("method", ["set_write_buffer_limits", "set_read_buffer_limits"])
def test_senseless_limits_are_refused(factory: Any, method: str) -> None:
    """A low-water mark above the high one, or a negative one, raises ValueError with both."""

    async def main() -> None:
        async with tls_connection() as it:
            with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\)"):
                getattr(it.transport, method)(high=1, low=2)
            with pytest.raises(ValueError, match="must be >= 0"):
                getattr(it.transport, method)(high=1, low=-1)

    run(factory, main())


@our_loops
@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_failing_flow_control_is_reported(factory: Any, method: str) -> None:
    """A protocol whose pause_writing() or resume_writing() raises is reported, and the connection goes on."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with tls_connection(lambda: Recorder(**{method: ValueError("broken")})) as it:
            it.transport.set_write_buffer_limits(high=0)
            it.transport.write(4 * BIG)
            it.transport.write(4 * BIG)
            assert await it.tls.receive(8 * len(BIG)) == 8 * BIG
            await until(lambda: reports.messages)
        assert reports.messages == [f"protocol.{method}() failed"]

    run(factory, main())


# -- What is known of the session


@every_loop
@both_sides
def test_extra_info(factory: Any, server_side: bool) -> None:
    """The transport tells the session's SSLObject, context, cipher and certificate, and what the socket knows."""

    async def main() -> None:
        context = server_context() if server_side else client_context()
        async with tls_connection(server_side=server_side, context=context) as it:
            info = it.transport.get_extra_info
            assert type(info("ssl_object")) is ssl.SSLObject
            assert info("ssl_object").version() == "TLSv1.3"
            assert info("sslcontext") is context
            assert info("cipher") == info("ssl_object").cipher()
            assert info("compression") is None
            subject = list((info("peercert") or {}).get("subjectAltName", ()))
            assert subject == ([] if server_side else [("DNS", "localhost")])
            assert info("peername") == it.peer.getsockname()
            assert info("socket").getsockname() == info("sockname")
            assert info("nothing of the kind", "default") == "default"

    run(factory, main())


@our_loops
def test_it_is_what_programs_ask_for(factory: Any) -> None:
    """isinstance() takes the transport for asyncio's, and its repr tells its state and what is beneath."""

    async def main() -> None:
        async with tls_connection() as it:
            assert isinstance(it.transport, asyncio.Transport)
            assert isinstance(it.transport, asyncio.BufferedProtocol)
            assert repr(it.transport).startswith("<TlsTransport open over <StreamTransport fd=")
            it.transport.abort()
            await it.protocol.lost
            assert repr(it.transport) == "<TlsTransport closed over None>"
            assert it.transport.get_extra_info("peername") is None

    run(factory, main())


@every_loop
def test_server_name_and_alpn(factory: Any) -> None:
    """A server answers with the certificate of the name asked for, and both know the protocol agreed on."""

    async def main() -> None:
        first, second = server_context("first.example"), server_context("localhost")
        for context in (first, second):
            context.set_alpn_protocols(["h2", "http/1.1"])

        def choose(session: Any, name: str | None, _: ssl.SSLContext) -> None:
            if name == "localhost":
                session.context = second

        first.sni_callback = choose
        client = client_context()
        client.set_alpn_protocols(["http/1.1"])
        async with tls_connection(server_side=True, context=first, peer_context=client) as it:
            assert it.tls.session.getpeercert()["subjectAltName"] == (("DNS", "localhost"),)
            assert it.tls.session.selected_alpn_protocol() == "http/1.1"
            assert it.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"

    run(factory, main())


@every_loop
def test_client_certificate(factory: Any) -> None:
    """A server that asks for a certificate gets it, and the application can read it."""

    async def main() -> None:
        async with tls_connection(
            server_side=True, context=server_context(trusting=True), peer_context=client_context("client.example")
        ) as it:
            names = it.transport.get_extra_info("peercert")["subjectAltName"]
            assert names == (("DNS", "client.example"),)

    run(factory, main())


@every_loop
def test_session_is_resumed(factory: Any) -> None:
    """A context that hands in an earlier session, as a subclass can, resumes it."""

    class Resuming(ssl.SSLContext):
        session: Any = None

        def wrap_bio(self, *arguments: Any, **options: Any) -> Any:
            return super().wrap_bio(*arguments, session=self.session, **options)

    async def main() -> None:
        context = client_context(kind=Resuming)
        serving = server_context()
        for reused in (False, True):
            async with tls_connection(context=context, peer_context=serving) as it:
                await it.tls.send(b"with the tickets")
                await until(lambda it=it: it.protocol.data)
                session = it.transport.get_extra_info("ssl_object")
                assert session.session_reused is reused
                context.session = session.session

    run(factory, main())


# -- Mistakes


@every_loop
@pytest.mark.parametrize("option", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
def test_senseless_timeouts_are_refused(factory: Any, option: str) -> None:
    """A timeout of zero or less raises ValueError, and the socket is closed."""

    async def main() -> None:
        ours, peer = socket_pair()
        with peer:
            with pytest.raises(ValueError, match=f"{option} should be a positive number, got -1"):
                await connect(Recorder, ours, client_context(), False, **{option: -1})
            ours.close()

    run(factory, main())


@our_loops
def test_peer_that_speaks_first_and_wrongly(factory: Any) -> None:
    """A client that sends plain HTTP to a TLS server ends in an SSLError, without a trace in the log."""

    async def main() -> None:
        ours, peer = socket_pair()
        reports = Reports(asyncio.get_running_loop())
        with peer:
            await asyncio.get_running_loop().sock_sendall(peer, b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(ssl.SSLError, match=r"HTTP_REQUEST|WRONG_VERSION"):
                await connect(Recorder, ours, server_context(), True)
        assert reports.messages == []

    run(factory, main())


def test_peer_helper_is_a_real_client() -> None:
    """The peer of these tests refuses a server that it does not trust, so passing through it means something."""

    async def main() -> None:
        ours, peer = socket_pair()
        untrusting = ssl.create_default_context()
        tls = TlsPeer(peer, untrusting, server_side=False)
        results = await asyncio.gather(
            connect(Recorder, ours, server_context(), True), tls.handshake(), return_exceptions=True
        )
        peer.close()
        assert [type(result) for result in results] == [ssl.SSLError, ssl.SSLCertVerificationError]

    run(OURS[0], main())


def test_without_openssl() -> None:
    """On a Python built without the ssl module hocket works, and whoever asks for TLS is told what is missing."""
    program = """if True:
        import sys
        sys.modules["ssl"] = sys.modules["_ssl"] = None
        import asyncio, socket
        import hocket

        async def main():
            ours, peer = socket.socketpair()
            with ours, peer:
                ours.setblocking(False)
                try:
                    loop = asyncio.get_running_loop()
                    await loop.create_connection(asyncio.Protocol, sock=ours, ssl=True, server_hostname="localhost")
                except RuntimeError as error:
                    return str(error)

        print(hocket.run(main()))
    """
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("stdlib ssl module not available\n", "")
