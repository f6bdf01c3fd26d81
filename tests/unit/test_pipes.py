"""Transports of pipes, on real pipes, FIFOs, terminals and sockets, with asyncio's as the reference."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import pty
import re
import socket
import sys
import tempfile
import tty
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.leftovers import no_new_descriptors

from .loops import EVERY, OURS, Reports, run
from .peers import Recorder, until

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)


class End:
    """One end of a pipe as a transport of the running loop; of the other the descriptor, which blocks."""

    def __init__(self, transport: Any, protocol: Recorder, other: int) -> None:
        self.transport = transport
        self.protocol = protocol
        self.other = other

    def read(self, size: int) -> bytes:
        """Exactly *size* bytes, or fewer if the pipe ends."""
        received = b""
        while len(received) < size:
            piece = os.read(self.other, size - len(received))
            if not piece:
                break
            received += piece
        return received

    def close_other(self) -> None:
        os.close(self.other)
        self.other = -1


@contextlib.asynccontextmanager
async def reading(protocol: Recorder | None = None, kind: str = "pipe") -> AsyncIterator[End]:
    ours, other = pair(kind)
    protocol = protocol or Recorder()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(ours, "rb", 0))
    async with ended(End(transport, protocol, other)) as end:
        yield end


@contextlib.asynccontextmanager
async def writing(protocol: Recorder | None = None, kind: str = "pipe") -> AsyncIterator[End]:
    other, ours = pair(kind)
    protocol = protocol or Recorder()
    transport, _ = await asyncio.get_running_loop().connect_write_pipe(lambda: protocol, os.fdopen(ours, "wb", 0))
    async with ended(End(transport, protocol, other)) as end:
        yield end


@contextlib.asynccontextmanager
async def ended(end: End) -> AsyncIterator[End]:
    try:
        yield end
    finally:
        if not end.protocol.lost.done():
            end.transport.close() if not hasattr(end.transport, "abort") else end.transport.abort()
        if end.other >= 0:
            os.close(end.other)
        await end.protocol.lost
        await asyncio.sleep(0)


def pair(kind: str) -> tuple[int, int]:
    """Two connected descriptors: the first can be read, the second written."""
    if kind == "socket":
        first, second = socket.socketpair()
        return first.detach(), second.detach()
    if kind == "terminal":
        first_fd, second_fd = pty.openpty()
        tty.setraw(second_fd)
        return first_fd, second_fd
    if kind == "fifo":
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "fifo"
            os.mkfifo(path)
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            os.set_blocking(reader, True)
            return reader, os.open(path, os.O_WRONLY)
    return os.pipe()


def fill(transport: Any) -> int:
    """Write until the pipe takes no more; returns how many bytes have been written in all."""
    written = 0
    while not transport.get_write_buffer_size():
        transport.write(bytes(60_000))
        written += 60_000
    return written


kinds = pytest.mark.parametrize("kind", ["pipe", "fifo", "socket", "terminal"])


# -- Reading


@every_loop
@kinds
def test_reads_in_order_until_the_end(factory: Any, kind: str) -> None:
    """All that is written reaches data_received(), and then the protocol hears of the end."""

    async def main() -> None:
        async with reading(kind=kind) as end:
            for number in range(50):
                os.write(end.other, b"%03d" % number)
                if number % 10 == 0:
                    await asyncio.sleep(0)
            await until(lambda: len(end.protocol.data) == 150)
            assert end.protocol.data == b"".join(b"%03d" % number for number in range(50))
            end.close_other()
            error = await end.protocol.lost
            if kind == "terminal":  # says EIO
                assert isinstance(error, OSError) and error.errno == errno.EIO
            else:
                assert error is None
                assert end.protocol.names[1:] == ["data_received", "eof_received", "connection_lost"]

    run(factory, main())


@every_loop
def test_pausing(factory: Any) -> None:
    """Nothing is read while reading is paused, whatever is written or closed."""

    async def main() -> None:
        async with reading() as end:
            end.transport.pause_reading()
            end.transport.pause_reading()
            assert not end.transport.is_reading()
            os.write(end.other, b"data")
            end.close_other()
            await asyncio.sleep(0.01)
            assert end.protocol.names == ["connection_made"]
            end.transport.resume_reading()
            end.transport.resume_reading()
            assert end.transport.is_reading()
            await end.protocol.lost
            assert end.protocol.data == b"data"

    run(factory, main())


@every_loop
def test_paused_or_closed_in_connection_made(factory: Any) -> None:
    """A protocol may pause at once, and nothing is read; or close, and nothing is read either."""

    async def main() -> None:
        async with reading(Recorder(connection_made=lambda it: it.transport.pause_reading())) as end:
            os.write(end.other, b"data")
            await asyncio.sleep(0.01)
            assert end.protocol.names == ["connection_made"]
        async with reading(Recorder(connection_made=lambda it: it.transport.close())) as end:
            assert await end.protocol.lost is None
            assert end.protocol.names == ["connection_made", "connection_lost"]

    run(factory, main())


@every_loop
def test_close_reading(factory: Any) -> None:
    """close() calls connection_lost(None) in the next turn and closes the descriptor, once."""

    async def main() -> None:
        async with reading() as end:
            pipe = end.transport.get_extra_info("pipe")
            end.transport.close()
            end.transport.close()
            assert end.transport.is_closing() and not end.protocol.lost.done()
            assert await end.protocol.lost is None
            await asyncio.sleep(0)
            assert pipe.closed
            assert end.protocol.names == ["connection_made", "connection_lost"]

    run(factory, main())


@every_loop
def test_failing_data_received_goes_on(factory: Any) -> None:
    """What data_received() raises is reported, and reading goes on."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with reading(Recorder(data_received=ZeroDivisionError())) as end:
            for number in (1, 2):
                os.write(end.other, b"data")
                await until(lambda number=number: len(reports.contexts) == number)
            assert end.protocol.data == b"datadata" and not end.transport.is_closing()
            assert all(message.startswith("Exception in callback") for message in reports.messages)

    run(factory, main())


@every_loop
def test_read_error_is_reported(factory: Any) -> None:
    """An error of the kernel other than EIO is reported, and connection_lost() gets it."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with reading(kind="socket") as end:
            os.write(end.other, b"unread")
            ours = socket.socket(fileno=os.dup(end.transport.get_extra_info("pipe").fileno()))
            with ours, socket.create_server(("127.0.0.1", 0)) as server:
                # Put a connection that is being reset in the socket's place.
                client = socket.create_connection(server.getsockname())
                accepted, _ = server.accept()
                client.setblocking(False)
                os.dup2(client.fileno(), end.transport.get_extra_info("pipe").fileno())
                client.close()
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                accepted.close()
                assert type(await end.protocol.lost) is ConnectionResetError
            assert reports.messages == ["Fatal read error on pipe transport"]

    run(factory, main())


# -- Writing


@every_loop
@kinds
def test_writes_at_once(factory: Any, kind: str) -> None:
    """What the pipe takes is in it when write() returns: bytes, a bytearray or a memoryview."""

    async def main() -> None:
        async with writing(kind=kind) as end:
            for data in (b"bytes", bytearray(b"array"), memoryview(b"views"), b""):
                end.transport.write(data)
            assert end.read(15) == b"bytesarrayviews"
            end.transport.writelines([b"many", b"", bytearray(b"more")])
            assert end.read(8) == b"manymore"
            assert end.transport.get_write_buffer_size() == 0

    run(factory, main())


@every_loop
def test_each_write_is_one_of_its_own(factory: Any) -> None:
    """Messages keep their boundaries on a socket that has such: nothing is gathered, nor cut."""

    async def main() -> None:
        ours, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            transport, protocol = await asyncio.get_running_loop().connect_write_pipe(Recorder, ours)
            for data in (b"one", b"two", b"three"):
                transport.write(data)
            assert [other.recv(100) for _ in range(3)] == [b"one", b"two", b"three"]
            transport.close()
            await protocol.lost

    run(factory, main())


@every_loop
def test_writes_what_is_large(factory: Any) -> None:
    """What the pipe does not take at once follows, in order, with pauses at the marks; it may be changed meanwhile."""

    async def main() -> None:
        async with writing() as end:
            data = bytearray(os.urandom(3_000_000))
            expected = bytes(data) + b"after" + bytes(200_000)
            end.transport.write(data)
            data[:] = bytes(len(data))
            end.transport.write(b"after")
            end.transport.write(memoryview(bytes(200_000)))
            received = await asyncio.get_running_loop().run_in_executor(None, end.read, len(expected))
            assert received == expected
            await until(lambda: end.protocol.names == ["connection_made", "pause_writing", "resume_writing"])
            assert end.transport.get_write_buffer_size() == 0

    run(factory, main())


@our_loops
@pytest.mark.parametrize("data", [memoryview(b"xaxbxc")[1::2], memoryview(bytearray(b"abc"))], ids=["gaps", "mutable"])
def test_memoryviews(factory: Any, data: memoryview) -> None:
    """A memoryview is written as the bytes that it shows, gaps or not."""

    async def main() -> None:
        async with writing() as end:
            end.transport.write(data)
            assert end.read(3) == b"abc"
            written = fill(end.transport)
            end.transport.write(data)
            reading = asyncio.get_running_loop().run_in_executor(None, end.read, written + 3)
            assert (await reading)[-3:] == b"abc"

    run(factory, main())


@our_loops
@pytest.mark.parametrize("data", ["text", 5, None])
def test_wrong_type(factory: Any, data: Any) -> None:
    """write() raises TypeError naming what came (asyncio only asserts)."""

    async def main() -> None:
        async with writing() as end:
            with pytest.raises(TypeError, match=f"not '{type(data).__name__}'"):
                end.transport.write(data)

    run(factory, main())


@every_loop
@pytest.mark.parametrize("how", ["close", "write_eof"])
def test_closing_writes_what_is_buffered(factory: Any, how: str) -> None:
    """close() and write_eof() let everything go out; then the reader gets the end, and connection_lost(None) comes."""

    async def main() -> None:
        async with writing() as end:
            written = fill(end.transport)
            getattr(end.transport, how)()
            getattr(end.transport, how)()
            assert end.transport.is_closing() and end.transport.can_write_eof()
            end.transport.write(b"dropped")
            received = await asyncio.get_running_loop().run_in_executor(None, end.read, written + 1000)
            assert len(received) == written
            assert await end.protocol.lost is None

    run(factory, main())


@every_loop
def test_abort_drops_what_is_buffered(factory: Any) -> None:
    """abort() closes without writing on."""

    async def main() -> None:
        async with writing() as end:
            written = fill(end.transport)
            left = end.transport.get_write_buffer_size()
            end.transport.abort()
            assert await end.protocol.lost is None
            await asyncio.sleep(0)
            assert len(end.read(written)) == written - left

    run(factory, main())


@our_loops
def test_abort_after_close(factory: Any) -> None:
    """connection_lost() is called once, and nothing is reported (asyncio calls it again, on nothing)."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with writing() as end:
            end.transport.close()
            end.transport.abort()
            await end.protocol.lost
            await asyncio.sleep(0)
            end.transport.abort()
            assert end.protocol.names == ["connection_made", "connection_lost"]
        assert reports.messages == []

    run(factory, main())


@every_loop
@pytest.mark.parametrize("kind", ["pipe", "fifo", "socket"])
def test_reader_goes_away(factory: Any, kind: str) -> None:
    """An idle writer learns of it: connection_lost(None), without a write."""

    async def main() -> None:
        async with writing(kind=kind) as end:
            await asyncio.sleep(0)
            end.close_other()
            assert await end.protocol.lost is None

    run(factory, main())


@every_loop
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_reader_goes_away_with_something_unread(factory: Any, kind: str) -> None:
    """If something is still buffered, connection_lost() gets a BrokenPipeError or what the kernel says."""

    async def main() -> None:
        async with writing(kind=kind) as end:
            fill(end.transport)
            end.close_other()
            assert isinstance(await end.protocol.lost, (BrokenPipeError, ConnectionResetError))

    run(factory, main())


@every_loop
def test_writing_to_nobody(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The write that fails ends the transport with EPIPE; later ones are dropped, with a warning when it goes on."""

    async def main() -> None:
        async with writing() as end:
            end.close_other()
            for _ in range(8):
                end.transport.write(b"data")
            assert type(await end.protocol.lost) is BrokenPipeError

    run(factory, main())
    warned = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warned == ["pipe closed by peer or os.write(pipe, data) raised exception."] * 3


@every_loop
def test_device_that_cannot_be_waited_for(factory: Any) -> None:
    """/dev/null takes everything."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports = Reports(loop)
        transport, protocol = await loop.connect_write_pipe(
            Recorder, os.fdopen(os.open("/dev/null", os.O_WRONLY), "wb", 0)
        )
        transport.write(bytes(1_000_000))
        assert transport.get_write_buffer_size() == 0
        transport.close()
        assert await protocol.lost is None
        assert reports.messages == []

    run(factory, main())


# -- What they are


@every_loop
@pytest.mark.parametrize(
    ("connect", "mode", "message"),
    [
        ("connect_read_pipe", "rb", "Pipe transport is for pipes/sockets only."),
        ("connect_write_pipe", "wb", "Pipe transport is only for pipes, sockets and character devices"),
    ],
)
def test_regular_file_is_refused(factory: Any, connect: str, mode: str, message: str, tmp_path: Path) -> None:
    """A regular file is no pipe: ValueError, and the file stays its owner's."""
    (tmp_path / "file").touch()

    async def main() -> None:
        with open(tmp_path / "file", mode) as file:
            with pytest.raises(ValueError, match=re.escape(message)):
                await getattr(asyncio.get_running_loop(), connect)(Recorder, file)
            assert not file.closed

    run(factory, main())


@every_loop
def test_what_they_tell(factory: Any) -> None:
    """isinstance(), extra info, protocol and flow-control limits are asyncio's."""

    async def main() -> None:
        async with reading() as reader, writing() as writer:
            assert isinstance(reader.transport, asyncio.ReadTransport)
            assert isinstance(writer.transport, asyncio.WriteTransport)
            for end in (reader, writer):
                assert end.transport.get_extra_info("pipe").fileno() >= 0
                assert end.transport.get_extra_info("nonsense", 5) == 5
                assert end.transport.get_protocol() is end.protocol
                end.transport.set_protocol(end.protocol)
            assert writer.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
            writer.transport.set_write_buffer_limits(high=100)
            assert writer.transport.get_write_buffer_limits() == (25, 100)
            with pytest.raises(ValueError, match="must be >="):
                writer.transport.set_write_buffer_limits(high=1, low=2)

    run(factory, main())


@every_loop
def test_repr(factory: Any) -> None:
    """The repr tells descriptor and state in asyncio's words."""
    prefix = "" if factory in OURS else "_Unix"

    async def main() -> None:
        async with reading() as reader, writing() as writer:
            await asyncio.sleep(0)
            fd = reader.transport.get_extra_info("pipe").fileno()
            assert repr(reader.transport) == f"<{prefix}ReadPipeTransport fd={fd} polling>"
            reader.transport.pause_reading()
            assert repr(reader.transport) == f"<{prefix}ReadPipeTransport fd={fd} idle>"
            reader.transport.close()
            assert repr(reader.transport) == f"<{prefix}ReadPipeTransport closing fd={fd} idle>"
            await reader.protocol.lost
            await asyncio.sleep(0)
            assert repr(reader.transport) == f"<{prefix}ReadPipeTransport closed fd={fd} closed>"
            fd = writer.transport.get_extra_info("pipe").fileno()
            assert repr(writer.transport) == f"<{prefix}WritePipeTransport fd={fd} idle bufsize=0>"
            fill(writer.transport)
            size = writer.transport.get_write_buffer_size()
            assert repr(writer.transport) == f"<{prefix}WritePipeTransport fd={fd} polling bufsize={size}>"

    run(factory, main())


@every_loop
@pytest.mark.parametrize("connect", ["connect_read_pipe", "connect_write_pipe"])
def test_forgotten_transport_warns_and_closes(factory: Any, connect: str) -> None:
    """A transport that nobody closed warns when it is collected with its loop."""
    ends = dict(zip(("connect_read_pipe", "connect_write_pipe"), os.pipe(), strict=True))
    pipes = {name: os.fdopen(fd, "rb" if "read" in name else "wb", 0) for name, fd in ends.items()}

    async def main() -> None:
        await getattr(asyncio.get_running_loop(), connect)(asyncio.Protocol, pipes[connect])

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(factory, main())
        gc.collect()
    assert [str(w.message)[:20] for w in caught if "transport" in str(w.message)] == ["unclosed transport <"]
    assert pipes[connect].closed
    for pipe in pipes.values():
        pipe.close()


@every_loop
def test_debug_mode_tells(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    """In debug mode pauses, resumptions and the peer's end are logged in asyncio's words."""

    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        async with reading() as reader, writing() as writer:
            reader.transport.pause_reading()
            reader.transport.resume_reading()
            await asyncio.sleep(0)
            reader.close_other()
            writer.close_other()
            await reader.protocol.lost
            await writer.protocol.lost

    with caplog.at_level("DEBUG", "asyncio"):
        run(factory, main())
    told = [re.sub("^<.*> ", "", record.message) for record in caplog.records]
    assert told.count("pauses reading") == 1 and told.count("resumes reading") == 1
    assert told.count("was closed by peer") == 2


@pytest.mark.slow
@our_loops
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts descriptors in /proc, which only Linux has")
def test_ten_thousand_pipes_leave_nothing(factory: Any) -> None:
    """Neither descriptors nor objects are left of pipes that were connected, used and closed."""

    async def once(count: int) -> None:
        for _ in range(count):
            async with writing() as writer:
                writer.transport.write(b"data")
            async with reading() as reader:
                os.write(reader.other, b"data")
                await asyncio.sleep(0)

    def counted() -> int:
        gc.collect()
        return len(gc.get_objects())

    async def main() -> None:
        await once(100)
        before = counted()
        with no_new_descriptors():
            await once(10_000)
        assert counted() - before < 200

    run(factory, main(), 120)
