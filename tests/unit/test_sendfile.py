"""Files sent by the kernel, on sockets and through transports: how much, from where, and what may go wrong."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from hocket.net import sendfile

from .loops import EVERY, OURS, run
from .peers import Recorder, connection, until
from .test_socket_calls import pair

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)

DATA = os.urandom(8 << 20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_bytes(DATA)
    return made


async def drain(sock: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        data = await asyncio.get_running_loop().sock_recv(sock, 1 << 18)
        if not data:
            break
        received += data
    return bytes(received)


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Offset and size of each call of os.sendfile()."""
    calls: list[tuple[int, int]] = []
    original = os.sendfile

    def noted(out: int, source: int, offset: int, count: int) -> int:
        calls.append((offset, count))
        return original(out, source, offset, count)

    monkeypatch.setattr(os, "sendfile", noted)
    return calls


# -- How much, and from where


@every_loop
@pytest.mark.parametrize("through", ["socket", "transport"])
@pytest.mark.parametrize(
    ("offset", "count", "expected"),
    [
        (0, None, DATA),
        (1000, None, DATA[1000:]),
        (0, 5000, DATA[:5000]),
        (7, 3 << 20, DATA[7 : 7 + (3 << 20)]),
        (len(DATA) - 10, 100, DATA[-10:]),
        (len(DATA), None, b""),
        (len(DATA) + 5, None, b""),
    ],
    ids=["all", "from offset", "so many", "so many from offset", "more than there is", "from the end", "from beyond"],
)
def test_the_kernel_sends(
    factory: Any, path: Path, kernel_calls: list[Any], through: str, offset: int, count: int | None, expected: bytes
) -> None:
    """The bytes, their number, the file's position afterwards; and it is the kernel who sends them."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection() as it:
            with path.open("rb") as file:
                receiving = asyncio.create_task(drain(it.peer, len(expected)))
                if through == "transport":
                    sent = await loop.sendfile(it.transport, file, offset, count, fallback=False)
                else:
                    with pair() as (one, other):
                        receiving.cancel()
                        receiving = asyncio.create_task(drain(other, len(expected)))
                        sent = await loop.sock_sendfile(one, file, offset, count, fallback=False)
                        assert await receiving == expected
                assert sent == len(expected)
                if expected:
                    assert file.tell() == offset + len(expected)
                if through == "transport":
                    assert await receiving == expected
            assert kernel_calls

    run(factory, main())


@every_loop
def test_an_empty_file_is_sent_at_once(factory: Any, tmp_path: Path) -> None:
    """Nothing was sent, and that is no error."""
    path = tmp_path / "empty"
    path.touch()

    async def main() -> None:
        async with connection() as it:
            with path.open("rb") as file:
                assert await asyncio.get_running_loop().sendfile(it.transport, file, fallback=False) == 0
            it.transport.write(b"on")
            assert await it.receive(2) == b"on"

    run(factory, main())


@our_loops
def test_a_piece_a_turn(factory: Any, path: Path, kernel_calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file leaves in bounded pieces, and others have their turn in between."""
    monkeypatch.setattr(sendfile, "PIECE", 4096)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(count)

        with pair() as (one, other), path.open("rb") as file:
            loop.call_soon(count)
            receiving = asyncio.create_task(drain(other, 40960))
            assert await loop.sock_sendfile(one, file, count=40960) == 40960
            assert len(await receiving) == 40960
        assert all(size <= 4096 for _, size in kernel_calls)
        assert turns >= 9

    run(factory, main())


@every_loop
def test_a_file_that_grows_is_sent_as_it_is_by_then(factory: Any, tmp_path: Path) -> None:
    """Without a count the end is where the file ends when it is reached."""
    path = tmp_path / "growing"
    path.write_bytes(DATA)

    async def main() -> None:
        async with connection() as it:
            with path.open("rb") as file, path.open("ab") as more:
                sending = asyncio.create_task(asyncio.get_running_loop().sendfile(it.transport, file))
                await asyncio.sleep(0.01)
                assert not sending.done()
                more.write(b"more")
                more.flush()
                assert await drain(it.peer, len(DATA) + 4) == DATA + b"more"
                assert await sending == len(DATA) + 4

    run(factory, main())


@every_loop
@pytest.mark.parametrize("count", [None, len(DATA)])
def test_a_file_that_shrinks_ends_early(factory: Any, tmp_path: Path, count: int | None) -> None:
    """What is not there any more is not sent; how much was is the result."""
    path = tmp_path / "shrinking"
    path.write_bytes(DATA)

    async def main() -> None:
        async with connection() as it:
            with path.open("r+b") as file:
                sending = asyncio.create_task(asyncio.get_running_loop().sendfile(it.transport, file, count=count))
                await asyncio.sleep(0.01)
                assert not sending.done()
                file.truncate(1000)
                receiving = asyncio.create_task(drain(it.peer, len(DATA)))
                sent = await sending
                assert 1000 < sent < len(DATA)
                it.transport.close()
                received = await receiving
                assert len(received) == sent
                assert received[:1000] == DATA[:1000]

    run(factory, main())


# -- Who cannot be sent by the kernel


@every_loop
def test_what_is_no_file_on_disk_is_read_and_written(factory: Any) -> None:
    """An object in memory goes the long way, if that is allowed."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection() as it:
            with pytest.raises(asyncio.SendfileNotAvailableError):
                await loop.sendfile(it.transport, io.BytesIO(DATA), fallback=False)
            receiving = asyncio.create_task(it.receive(len(DATA) - 10))
            assert await loop.sendfile(it.transport, io.BytesIO(DATA), offset=10) == len(DATA) - 10
            assert await receiving == DATA[10:]
        with pair() as (one, other):
            with pytest.raises(asyncio.SendfileNotAvailableError):
                await loop.sock_sendfile(one, io.BytesIO(DATA), fallback=False)
            receiving = asyncio.create_task(drain(other, 100))
            assert await loop.sock_sendfile(one, io.BytesIO(DATA), count=100) == 100
            assert await receiving == DATA[:100]

    run(factory, main())


@our_loops
def test_a_pipe_is_no_file_on_disk(factory: Any) -> None:
    """It is said so, and the pipe keeps what is in it; asyncio takes a pipe for an empty file."""

    async def main() -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb", buffering=0) as sink:
            sink.write(b"data")
            async with connection() as it:
                with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
                    await asyncio.get_running_loop().sendfile(it.transport, source, fallback=False)
                assert source.read(10) == b"data"

    run(factory, main())


@our_loops
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="this system has no files without a size")
def test_a_file_that_does_not_tell_its_size(factory: Any) -> None:
    """What the kernel makes up as it is read arrives too; asyncio sends nothing of it."""

    async def main() -> None:
        async with connection() as it:
            with open("/proc/self/limits", "rb") as file:
                sent = await asyncio.get_running_loop().sendfile(it.transport, file)
                assert sent > 0
                assert (await it.receive(sent)).startswith(b"Limit")

    run(factory, main())


@every_loop
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"offset": -1}, ValueError),
        ({"offset": 1.5}, TypeError),
        ({"count": 0}, ValueError),
        ({"count": "1"}, TypeError),
    ],
    ids=repr,
)
def test_wrong_arguments(factory: Any, path: Path, arguments: Any, error: type[Exception]) -> None:
    """Refused before anything is sent, and the connection goes on."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection() as it:
            with path.open("rb") as file, pytest.raises(error):
                await loop.sendfile(it.transport, file, **arguments)
            with path.open("rb") as file, pair() as (one, _), pytest.raises(error):
                await loop.sock_sendfile(one, file, **arguments)
            with path.open() as text, pytest.raises(ValueError, match="binary mode"):
                await loop.sendfile(it.transport, text)  # type: ignore[arg-type]
            it.transport.write(b"on")
            assert await it.receive(2) == b"on"
            assert it.transport.is_reading()

    run(factory, main())


@every_loop
def test_refused_by_a_closing_transport(factory: Any, path: Path) -> None:
    """RuntimeError at once."""

    async def main() -> None:
        async with connection() as it:
            it.transport.close()
            with path.open("rb") as file, pytest.raises(RuntimeError, match="Transport is closing"):
                await asyncio.get_running_loop().sendfile(it.transport, file)

    run(factory, main())


@our_loops
def test_one_file_at_a_time(factory: Any, path: Path) -> None:
    """A second sendfile() on the transport is refused, and the first goes on."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection() as it:
            with path.open("rb") as file, path.open("rb") as other:
                sending = asyncio.create_task(loop.sendfile(it.transport, file))
                await asyncio.sleep(0)
                with pytest.raises(RuntimeError, match="already set"):
                    await loop.sendfile(it.transport, other)
                assert await it.receive(len(DATA)) == DATA
                assert await sending == len(DATA)

    run(factory, main())


# -- Peers that do not read, and ends


@our_loops
@pytest.mark.parametrize("waits_for", ["buffer", "peer"])
def test_a_cancelled_transfer_leaves_a_transport_that_works(factory: Any, path: Path, waits_for: str) -> None:
    """Also before the first byte of the file: what was written goes on, reading too, and the file tells how far it
    got."""

    async def main() -> None:
        async with connection() as it:
            before = DATA if waits_for == "buffer" else b""
            it.transport.write(before)
            with path.open("rb") as file:
                sending = asyncio.create_task(asyncio.get_running_loop().sendfile(it.transport, file))
                await asyncio.sleep(0.01)
                assert not sending.done() and not it.transport.is_reading()
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
                sent = file.tell()
            assert (sent == 0) == (waits_for == "buffer")
            assert it.transport.is_reading()
            it.transport.write(b"end")
            assert await it.receive(len(before) + sent + 3) == before + DATA[:sent] + b"end"
            await it.send(b"heard")
            await until(lambda: it.protocol.data == b"heard")

    run(factory, main())


@every_loop
def test_a_peer_that_goes_in_the_middle(factory: Any, path: Path) -> None:
    """ConnectionError, on the socket as through the transport."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (one, other):
            sending = asyncio.create_task(loop.sock_sendfile(one, file))
            await asyncio.sleep(0.01)
            other.close()
            with pytest.raises(ConnectionError):
                await sending
        async with connection() as it:
            with path.open("rb") as file:
                sending = asyncio.create_task(loop.sendfile(it.transport, file))
                await asyncio.sleep(0.01)
                it.reset()
                with pytest.raises(ConnectionError):
                    await sending

    run(factory, main())


@our_loops
@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("waits_for", ["buffer", "peer"])
def test_a_transport_that_is_closed_in_the_middle(factory: Any, path: Path, end: str, waits_for: str) -> None:
    """ConnectionError; with asyncio the transfer never ends."""

    async def main() -> None:
        async with connection() as it:
            if waits_for == "buffer":
                it.transport.write(DATA)
            with path.open("rb") as file:
                sending = asyncio.create_task(asyncio.get_running_loop().sendfile(it.transport, file))
                await asyncio.sleep(0.01)
                getattr(it.transport, end)()
                if waits_for == "buffer" and end == "close":
                    # What was written before is still sent, and then the file has its turn, or the end has.
                    await it.receive(len(DATA))
                with pytest.raises(ConnectionError):
                    await asyncio.wait_for(sending, 5)
            assert await it.protocol.lost is None

    run(factory, main())


@our_loops
def test_a_socket_that_a_transport_uses_is_refused(factory: Any, path: Path) -> None:
    """The transport is the one who writes on it."""

    async def main() -> None:
        async with connection() as it:
            sock = it.transport.get_extra_info("socket")._sock
            with path.open("rb") as file, pytest.raises(RuntimeError, match="is used by transport"):
                await asyncio.get_running_loop().sock_sendfile(sock, file)

    run(factory, main())


@every_loop
def test_a_tls_socket_is_refused(factory: Any, path: Path) -> None:
    """The kernel would send it in the clear."""

    async def main() -> None:
        context = ssl.create_default_context()
        with pair() as (one, _), path.open("rb") as file:
            with context.wrap_socket(one, server_hostname="x", do_handshake_on_connect=False) as tls:
                with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                    await asyncio.get_running_loop().sock_sendfile(tls, file)

    run(factory, main())


@every_loop
def test_what_is_written_afterwards_comes_after_the_file(factory: Any, path: Path) -> None:
    """Written, file, written: in this order; also with a protocol whose buffer is full before."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connection(Recorder) as it:
            it.transport.set_write_buffer_limits(high=0)
            it.transport.write(DATA)
            receiving = asyncio.create_task(it.receive(2 * len(DATA) + 5))
            with path.open("rb") as file:
                assert await loop.sendfile(it.transport, file) == len(DATA)
            it.transport.write(b"after")
            assert await receiving == DATA + DATA + b"after"

    run(factory, main())
