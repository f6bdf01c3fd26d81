"""The stream transport's reading half and its life, on real sockets, with asyncio's as the reference."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import re
import socket
import ssl
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .loops import EVERY, OURS, Reports, run
from .peers import BufferedRecorder, Recorder, connection, until

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)

BIG = os.urandom(8 << 20)


# -- Reading


@every_loop
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_data_arrives_whole_and_in_order(factory: Any, unix: bool) -> None:
    """All that the peer sends reaches data_received() as bytes, then eof_received(), then connection_lost(None)."""

    async def main() -> None:
        async with connection(unix=unix) as it:
            await it.send(BIG)
            it.peer.close()
            assert await it.protocol.lost is None
            assert it.protocol.data == BIG
            assert it.protocol.names == ["connection_made", "data_received", "eof_received", "connection_lost"]

    run(factory, main())


@our_loops
@settings(max_examples=20)
@given(messages=st.lists(st.tuples(st.integers(1, 300_000), st.booleans()), min_size=1, max_size=30))
def test_what_a_protocol_keeps_stays_what_it_is(factory: Any, messages: list[tuple[int, bool]]) -> None:
    """Each message is handed on as it was sent, and those that the protocol keeps do not change when others come,
    whatever their sizes."""

    class Keeper(Recorder):
        def data_received(self, data: bytes) -> None:
            keeps, fill = self.now
            assert type(data) is bytes and data == fill * len(data)
            assert hash(data) == hash(bytes(bytearray(data)))
            self.came += len(data)
            if keeps:
                self.kept.append((data, fill, len(data)))

    async def main() -> None:
        async with connection(Keeper) as it:
            it.protocol.kept = []
            for number, (size, keeps) in enumerate(messages):
                it.protocol.came = 0
                it.protocol.now = (keeps, bytes([number]))
                await it.send(bytes([number]) * size)
                await until(lambda size=size: it.protocol.came == size)
            assert all(data == fill * length for data, fill, length in it.protocol.kept)

    run(factory, main())


@every_loop
def test_buffered_protocol_gets_its_data(factory: Any) -> None:
    """A BufferedProtocol's own buffer is filled, piece by piece."""

    async def main() -> None:
        async with connection(BufferedRecorder) as it:
            await it.send(b"0123456789")
            it.peer.close()
            assert await it.protocol.lost is None
            assert it.protocol.data == b"0123456789"

    run(factory, main())


@every_loop
@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (lambda: BufferedRecorder(get_buffer=lambda _: 1 / 0), "Fatal error: protocol.get_buffer() call failed."),
        (lambda: BufferedRecorder(get_buffer=lambda _: b""), "Fatal error: protocol.get_buffer() call failed."),
        (
            lambda: BufferedRecorder(buffer_updated=lambda _: 1 / 0),
            "Fatal error: protocol.buffer_updated() call failed.",
        ),
        (lambda: Recorder(data_received=ZeroDivisionError()), "Fatal error: protocol.data_received() call failed."),
        (lambda: Recorder(eof_received=ZeroDivisionError()), "Fatal error: protocol.eof_received() call failed."),
    ],
    ids=["get_buffer", "empty buffer", "buffer_updated", "data_received", "eof_received"],
)
def test_failing_protocol_is_reported_and_loses_its_connection(
    factory: Any, protocol: Callable[[], Any], message: str
) -> None:
    """What a protocol raises is reported in asyncio's words, and connection_lost() gets it."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with connection(protocol) as it:
            await it.send(b"x")
            it.peer.shutdown(socket.SHUT_WR)
            error = await it.protocol.lost
            assert type(error) in (ZeroDivisionError, RuntimeError)
            assert reports.messages == [message]
            context = reports.contexts[0]
            assert (context["exception"], context["transport"], context["protocol"]) == (
                error,
                it.transport,
                it.protocol,
            )

    run(factory, main())


@every_loop
@pytest.mark.parametrize("method", ["connection_made", "connection_lost"])
def test_failing_ends_are_reported(factory: Any, method: str) -> None:
    """What connection_made() or connection_lost() raises is reported as a callback's error."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with connection(lambda: Recorder(**{method: ZeroDivisionError()})) as it:
            it.transport.close()
            await it.protocol.lost
            assert await it.receive_all() == b""
            assert len(reports.messages) == 1 and reports.messages[0].startswith("Exception in callback")

    run(factory, main())


@every_loop
def test_reading_pauses_and_resumes(factory: Any) -> None:
    """Nothing is received while paused; both calls may be repeated."""

    async def main() -> None:
        async with connection() as it:
            assert it.transport.is_reading()
            it.transport.pause_reading()
            it.transport.pause_reading()
            assert not it.transport.is_reading()
            await it.send(b"waits")
            await asyncio.sleep(0.03)
            assert it.protocol.data == b""
            it.transport.resume_reading()
            it.transport.resume_reading()
            assert it.transport.is_reading()
            await until(lambda: it.protocol.data == b"waits")

    run(factory, main())


@every_loop
def test_paused_from_the_start(factory: Any) -> None:
    """A protocol that pauses in connection_made() receives nothing until it resumes."""

    async def main() -> None:
        async with connection(lambda: Recorder(connection_made=lambda it: it.transport.pause_reading())) as it:
            await it.send(b"early")
            await asyncio.sleep(0.03)
            assert it.protocol.data == b""
            it.transport.resume_reading()
            await until(lambda: it.protocol.data == b"early")

    run(factory, main())


@every_loop
def test_pausing_in_data_received(factory: Any) -> None:
    """Pausing while data arrives: what comes later waits."""

    async def main() -> None:
        async with connection(lambda: Recorder(data_received=lambda it: it.transport.pause_reading())) as it:
            await it.send(b"first")
            await until(lambda: it.protocol.data == b"first")
            await it.send(b"second")
            await asyncio.sleep(0.03)
            assert it.protocol.data == b"first"
            it.transport.resume_reading()
            await until(lambda: it.protocol.data == b"firstsecond")

    run(factory, main())


@every_loop
def test_protocol_changes_in_mid_stream(factory: Any) -> None:
    """After set_protocol() the new one gets everything, of whichever kind it is."""

    async def main() -> None:
        async with connection() as it:
            await it.send(b"old")
            await until(lambda: it.protocol.data == b"old")
            buffered, plain = BufferedRecorder(), Recorder()
            it.transport.set_protocol(buffered)
            assert it.transport.get_protocol() is buffered
            await it.send(b"buffered")
            await until(lambda: buffered.data == b"buffered")
            it.transport.set_protocol(plain)
            await it.send(b"new")
            it.peer.close()
            assert await plain.lost is None
            assert (it.protocol.data, buffered.data, plain.data) == (b"old", b"buffered", b"new")

    run(factory, main())


@every_loop
def test_peer_resets_while_read_from(factory: Any) -> None:
    """A reset is connection_lost(ConnectionResetError), and not reported."""

    async def main() -> list[str]:
        reports = Reports(asyncio.get_running_loop())
        async with connection() as it:
            it.reset()
            assert type(await it.protocol.lost) is ConnectionResetError
            return reports.messages

    assert run(factory, main()) == []


@every_loop
def test_protocol_runs_in_the_context_of_its_making(factory: Any) -> None:
    """Every method of a protocol sees the context in which the transport was made."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    seen: dict[str, str] = {}

    def note(name: str) -> Callable[[Any], None]:
        def react(_: Any) -> None:
            seen[name] = variable.get("none")

        return react

    names = ["connection_made", "data_received", "eof_received", "pause_writing", "resume_writing", "connection_lost"]

    async def main() -> None:
        variable.set("made")
        async with connection(lambda: Recorder(**{name: note(name) for name in names}), unix=True) as it:
            variable.set("later")
            await it.send(b"x")
            await until(lambda: "data_received" in seen)
            asyncio.get_running_loop().call_soon(it.transport.write, BIG)
            await asyncio.sleep(0)
            await it.receive(len(BIG))
            it.peer.shutdown(socket.SHUT_WR)
            await it.protocol.lost

    run(factory, main())
    # Who writes calls pause_writing(), in his own context, and resume_writing() is called in a copy of that.
    assert seen.pop("pause_writing") == "later"
    assert seen.pop("resume_writing") == "later"
    assert set(seen.values()) == {"made"} and len(seen) == len(names) - 2


# -- Half-closing


@every_loop
def test_our_half_closes_and_reading_goes_on(factory: Any) -> None:
    """After write_eof() the peer sees the end, and what it sends still arrives."""

    async def main() -> None:
        async with connection() as it:
            assert it.transport.can_write_eof()
            it.transport.write(BIG)
            it.transport.write_eof()
            assert await it.receive_all() == BIG
            await it.send(b"answer")
            await until(lambda: it.protocol.data == b"answer")
            it.peer.close()
            assert await it.protocol.lost is None

    run(factory, main())


@every_loop
def test_their_half_closes_and_writing_goes_on(factory: Any) -> None:
    """A protocol whose eof_received() returns true may go on writing, and is told of the end once."""

    async def main() -> None:
        async with connection(lambda: Recorder(eof_received=True)) as it:
            it.peer.shutdown(socket.SHUT_WR)
            await until(lambda: "eof_received" in it.protocol.names)
            await asyncio.sleep(0.02)
            assert not it.transport.is_closing()
            it.transport.write(BIG)
            it.transport.close()
            assert await it.receive_all() == BIG
            assert await it.protocol.lost is None
            assert it.protocol.names.count("eof_received") == 1 and it.protocol.names[-1] == "connection_lost"

    run(factory, main())


# -- Closing


@every_loop
def test_close_sends_what_is_buffered(factory: Any) -> None:
    """close() sends all that was written, then tells the protocol None, once."""

    async def main() -> None:
        async with connection() as it:
            it.transport.write(BIG)
            it.transport.close()
            it.transport.close()
            assert it.transport.is_closing() and not it.transport.is_reading()
            assert await it.receive_all() == BIG
            assert await it.protocol.lost is None
            assert it.protocol.calls[-1] == ("connection_lost", type(None))
            assert it.protocol.names.count("connection_lost") == 1

    run(factory, main())


@every_loop
def test_abort_drops_what_is_buffered(factory: Any) -> None:
    """abort() with data pending closes at once, without an error."""

    async def main() -> None:
        async with connection() as it:
            it.transport.write(BIG)
            it.transport.write(BIG)
            it.transport.abort()
            assert it.transport.is_closing() and it.transport.get_write_buffer_size() == 0
            assert await it.protocol.lost is None
            assert len(await it.receive_all()) < 2 * len(BIG)

    run(factory, main())


@every_loop
@pytest.mark.parametrize("method", ["close", "abort"])
@pytest.mark.parametrize("when", ["connection_made", "data_received", "eof_received"])
def test_closing_inside_of_the_protocol(factory: Any, when: str, method: str) -> None:
    """A protocol may close its transport in any of its methods; nothing more is received, and it is told once."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with connection(lambda: Recorder(**{when: lambda it: getattr(it.transport, method)()})) as it:
            if when != "connection_made":
                it.peer.send(b"x")
            it.peer.shutdown(socket.SHUT_WR)
            assert await it.protocol.lost is None
            await asyncio.sleep(0.01)
            assert it.protocol.names[-2:] == [when, "connection_lost"]
            assert reports.messages == []

    run(factory, main())


@every_loop
def test_connection_lost_comes_in_a_later_turn(factory: Any) -> None:
    """close() and abort() return before connection_lost() is called."""

    async def main() -> None:
        for method in ("close", "abort"):
            async with connection() as it:
                getattr(it.transport, method)()
                assert it.protocol.names == ["connection_made"]
                await asyncio.sleep(0)
                assert it.protocol.names == ["connection_made", "connection_lost"]

    run(factory, main())


@every_loop
def test_a_transport_nobody_closed_warns(factory: Any) -> None:
    """A transport that is collected unclosed warns, and closes its socket."""
    loop = factory()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    fd = ours.fileno()

    async def make(sock: socket.socket) -> None:
        await loop.create_connection(asyncio.Protocol, sock=sock)

    loop.run_until_complete(make(ours))
    del ours
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop._remove_reader(fd)
        gc.collect()
        loop.run_until_complete(asyncio.sleep(0))
        gc.collect()
    assert [str(it.message)[:20] for it in caught if "transport" in str(it.message)] == ["unclosed transport <"]
    assert peer.recv(1) == b""
    peer.close()
    loop.close()


# -- What it tells of itself


@every_loop
def test_extra_info(factory: Any) -> None:
    """Addresses and the socket, wrapped; a default for what there is not. They stay after closing."""

    async def main() -> None:
        async with connection() as it:
            assert it.transport.get_extra_info("peername") == it.peer.getsockname()
            assert it.transport.get_extra_info("sockname") == it.peer.getpeername()
            wrapped = it.transport.get_extra_info("socket")
            assert wrapped.getpeername() == it.peer.getsockname() and type(wrapped).__name__ == "TransportSocket"
            assert wrapped.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert it.transport.get_extra_info("nothing", "default") == "default"
            assert it.transport.get_extra_info("sslcontext") is None
            assert isinstance(it.transport, asyncio.Transport)
            it.transport.close()
            await it.protocol.lost
            assert it.transport.get_extra_info("peername") == it.peer.getsockname()

    run(factory, main())


@every_loop
def test_repr(factory: Any) -> None:
    """repr() tells descriptor, what is polled for and how much is buffered; later that it is closed."""

    async def main() -> None:
        async with connection() as it:
            fd = it.transport.get_extra_info("socket").fileno()
            await asyncio.sleep(0)
            assert re.fullmatch(rf"<\w+ fd={fd} read=polling write=<idle, bufsize=0>>", repr(it.transport))
            it.transport.write(BIG)
            it.transport.write(BIG)
            size = it.transport.get_write_buffer_size()
            it.transport.pause_reading()
            assert f"fd={fd} read=idle write=<polling, bufsize={size}>" in repr(it.transport)
            it.transport.close()
            assert " closing " in repr(it.transport)
            it.transport.abort()
            await it.protocol.lost
            await asyncio.sleep(0)
            assert " closed " in repr(it.transport)

    run(factory, main())


@every_loop
def test_descriptor_of_a_transport_is_not_for_others(factory: Any) -> None:
    """add_reader() and friends refuse a descriptor that a transport uses."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection() as it:
            fd = it.transport.get_extra_info("socket").fileno()
            for method, arguments in (("add_reader", (print,)), ("remove_reader", ()), ("add_writer", (print,))):
                with pytest.raises(RuntimeError, match="is used by transport"):
                    getattr(loop, method)(fd, *arguments)

    run(factory, main())


# -- Servers


@every_loop
def test_server_waits_for_its_connections(factory: Any) -> None:
    """wait_closed() of a closed server returns once its last connection is gone."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: list[Recorder] = []

        def accept() -> Recorder:
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(accept, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        clients = [await asyncio.open_connection(*address) for _ in range(3)]
        await until(lambda: len(made) == 3 and all(it.transport for it in made))
        server.close()
        assert not server.is_serving()
        waiting = asyncio.create_task(server.wait_closed())
        for _, writer in clients:
            writer.close()
            await writer.wait_closed()
        await waiting
        assert [await it.lost for it in made] == [None] * 3
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)

    run(factory, main())


@every_loop
def test_streams_talk(factory: Any) -> None:
    """asyncio's streams work on the transport: readline, drain, wait_closed."""

    async def echo(reader: Any, writer: Any) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for number in range(200):
                writer.write(b"line %d\n" % number)
            writer.write_eof()
            answer = await reader.read()
            assert answer == b"".join(b"LINE %d\n" % number for number in range(200))
            writer.close()
            await writer.wait_closed()

    run(factory, main())


# -- Upgrading to TLS


def without_certificates(side: int) -> ssl.SSLContext:
    """A context that encrypts and proves nobody's identity: enough for two ends of one test."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return context


@every_loop
def test_a_plain_connection_is_upgraded(factory: Any) -> None:
    """start_tls() in mid-stream: what was said before was plain, what follows is encrypted and arrives whole."""

    async def serve(reader: Any, writer: Any) -> None:
        assert await reader.readline() == b"upgrade\n"
        writer.write(b"ready\n")
        await writer.start_tls(without_certificates(ssl.PROTOCOL_TLS_SERVER))
        writer.write(await reader.readexactly(1 << 20))
        await writer.drain()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"upgrade\n")
            assert await reader.readline() == b"ready\n"
            assert writer.get_extra_info("cipher") is None
            await writer.start_tls(without_certificates(ssl.PROTOCOL_TLS_CLIENT))
            assert writer.get_extra_info("cipher")[0] == "AECDH-AES256-SHA"
            writer.write(BIG[: 1 << 20])
            assert await reader.readexactly(1 << 20) == BIG[: 1 << 20]
            writer.close()
            await writer.wait_closed()

    run(factory, main())
