"""The stream transport's writing half, on real sockets, with asyncio's as the reference."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest

from .loops import EVERY, OURS, Reports, run
from .peers import Connection, Recorder, connection, until

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)

BIG = os.urandom(8 << 20)


# -- What arrives


@every_loop
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_bytes_arrives(factory: Any, kind: Any) -> None:
    """bytes, bytearray and memoryview can be written, also those that are large."""

    async def main() -> None:
        async with connection() as it:
            it.transport.write(kind(b"small"))
            it.transport.writelines([kind(b"er"), kind(b""), kind(b"pieces")])
            it.transport.write(kind(BIG))
            assert await it.receive(13 + len(BIG)) == b"smallerpieces" + BIG

    run(factory, main())


@every_loop
def test_memoryview_of_larger_items_is_sent_as_bytes(factory: Any) -> None:
    """A view of numbers counts in bytes."""
    import array

    async def main() -> None:
        numbers = array.array("i", range(1000))
        async with connection() as it:
            it.transport.write(memoryview(numbers))
            assert await it.receive(numbers.itemsize * 1000) == numbers.tobytes()

    run(factory, main())


@every_loop
@pytest.mark.parametrize("size", [10, 1 << 20])
def test_what_was_written_may_be_changed_at_once(factory: Any, size: int) -> None:
    """A bytearray that is changed and shrunk after write() arrives as it was."""

    async def main() -> None:
        async with connection() as it:
            data = bytearray(b"a" * size)
            it.transport.write(data)
            data[:] = b"b" * size
            it.transport.writelines([data])
            data.clear()
            received = await it.receive(2 * size)
            assert received == b"a" * size + b"b" * size

    run(factory, main())


@every_loop
def test_many_small_writes_arrive_in_order(factory: Any) -> None:
    """Thousands of writes of all sizes, across turns, arrive in the order of writing."""

    async def main() -> None:
        async with connection() as it:
            expected = bytearray()
            for number in range(3000):
                piece = b"%d;" % number * (number % 37)
                expected += piece
                if number % 3:
                    it.transport.write(piece)
                else:
                    it.transport.writelines([piece[:7], piece[7:]])
                if number % 100 == 99:
                    await asyncio.sleep(0)
            assert await it.receive(len(expected)) == expected

    run(factory, main())


@our_loops
def test_writes_of_one_turn_leave_together(factory: Any) -> None:
    """Hocket gathers what is written in a turn: on a socket that keeps boundaries it is one packet."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        peer.setblocking(False)
        protocol = Recorder()
        transport = loop._make_socket_transport(ours, protocol)  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        transport.write(b"head")
        transport.writelines([b"er ", b"and "])
        transport.write(b"body")
        with pytest.raises(BlockingIOError):
            peer.recv(100)
        assert await loop.sock_recv(peer, 100) == b"header and body"
        transport.abort()
        await protocol.lost
        peer.close()

    run(factory, main())


@every_loop
def test_nothing_written_is_nothing_sent(factory: Any) -> None:
    """Empty pieces, lists and generators send nothing and are no error."""

    async def main() -> None:
        async with connection() as it:
            it.transport.write(b"")
            it.transport.writelines([])
            it.transport.writelines(iter([b"", bytearray()]))
            assert it.transport.get_write_buffer_size() == 0
            it.transport.writelines(piece for piece in (b"a", b"b"))
            assert await it.receive(2) == b"ab"

    run(factory, main())


# -- What is refused


@every_loop
@pytest.mark.parametrize("wrong", ["text", None, 3, [b"x"]], ids=repr)
def test_only_bytes_can_be_written(factory: Any, wrong: Any) -> None:
    """Anything else is a TypeError that names the type, and the connection goes on."""

    async def main() -> None:
        async with connection() as it:
            with pytest.raises(TypeError, match=f"not {type(wrong).__name__!r}"):
                it.transport.write(wrong)
            it.transport.write(b"on")
            assert await it.receive(2) == b"on"

    run(factory, main())


@every_loop
def test_no_write_after_write_eof(factory: Any) -> None:
    """After write_eof() writing is a RuntimeError; a second write_eof() is harmless."""

    async def main() -> None:
        async with connection() as it:
            it.transport.write(b"last words")
            it.transport.write_eof()
            it.transport.write_eof()
            with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof"):
                it.transport.write(b"x")
            if factory in OURS:  # asyncio's writelines() checks from 3.12 on
                with pytest.raises(RuntimeError, match=r"Cannot call writelines\(\) after write_eof"):
                    it.transport.writelines([b"x"])
            assert await it.receive_all() == b"last words"

    run(factory, main())


@every_loop
def test_write_after_close_is_dropped_then_warned_of(factory: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What is written to a lost connection is dropped; from the fifth time on asyncio's warning is logged."""

    async def main() -> None:
        async with connection() as it:
            it.transport.close()
            assert it.transport.is_closing()
            for _ in range(8):
                it.transport.write(b"x")
            await it.protocol.lost
            assert await it.receive_all() == b""

    run(factory, main())
    warnings = [record.message for record in caplog.records if record.name == "asyncio"]
    assert {warning for warning in warnings if "socket" in warning} == {"socket.send() raised exception."}


# -- Flow control


async def fill(it: Connection) -> int:
    """Write until the protocol is asked to pause; returns how much was written."""
    written = 0
    while "pause_writing" not in it.protocol.names:
        it.transport.write(BIG[: 1 << 16])
        written += 1 << 16
        assert written < 1 << 28
    return written


@every_loop
def test_protocol_is_paused_and_resumed(factory: Any) -> None:
    """A peer that does not read pauses the writer; once it has read enough the writer may go on, once each."""

    async def main() -> None:
        async with connection() as it:
            written = await fill(it)
            assert it.transport.get_write_buffer_size() > 64 * 1024
            it.transport.write(b"x")
            assert it.protocol.names == ["connection_made", "pause_writing"]
            assert len(await it.receive(written + 1)) == written + 1
            await until(lambda: "resume_writing" in it.protocol.names)
            assert it.protocol.names == ["connection_made", "pause_writing", "resume_writing"]
            assert it.transport.get_write_buffer_size() == 0

    run(factory, main())


@every_loop
def test_limits(factory: Any) -> None:
    """Defaults, given ones, and what is made of half of them, as asyncio has it."""

    async def main() -> None:
        async with connection() as it:
            limits = [it.transport.get_write_buffer_limits()]
            for given in ({"high": 100}, {"low": 100}, {"high": 100, "low": 100}, {"high": 0}, {}):
                it.transport.set_write_buffer_limits(**given)
                limits.append(it.transport.get_write_buffer_limits())
            assert limits == [(16384, 65536), (25, 100), (100, 400), (100, 100), (0, 0), (16384, 65536)]
            for wrong in ({"high": 1, "low": 2}, {"high": -1}, {"high": 1, "low": -1}):
                with pytest.raises(ValueError, match="must be >= low"):
                    it.transport.set_write_buffer_limits(**wrong)
            assert it.transport.get_write_buffer_limits() == (16384, 65536)

    run(factory, main())


@every_loop
def test_limit_of_zero_pauses_whenever_something_is_left(factory: Any) -> None:
    """With high=0 the protocol is paused as soon as the socket does not take all, and not before."""

    async def main() -> None:
        async with connection() as it:
            it.transport.set_write_buffer_limits(high=0)
            it.transport.write(b"taken at once")
            assert "pause_writing" not in it.protocol.names
            it.transport.write(BIG)
            assert it.protocol.names[-1] == "pause_writing"
            assert 0 < it.transport.get_write_buffer_size() <= len(BIG)
            await it.receive(13 + len(BIG))
            await until(lambda: it.protocol.names[-1] == "resume_writing")

    run(factory, main())


@every_loop
@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_failing_flow_control_is_reported(factory: Any, method: str) -> None:
    """What pause_writing or resume_writing raises is reported in asyncio's words, and the data arrives."""

    async def main() -> None:
        reports = Reports(asyncio.get_running_loop())
        async with connection(lambda: Recorder(**{method: ZeroDivisionError()})) as it:
            written = await fill(it)
            assert len(await it.receive(written)) == written
            await until(lambda: it.protocol.names[-1] == "resume_writing")
            assert reports.messages == [f"protocol.{method}() failed"]
            assert reports.contexts[0]["transport"] is it.transport
            assert reports.contexts[0]["protocol"] is it.protocol

    run(factory, main())


@every_loop
def test_resuming_may_write_more(factory: Any) -> None:
    """A protocol that writes in resume_writing() keeps going until everything is through."""
    rounds = 5

    async def main() -> None:
        left = [rounds]

        def more(protocol: Recorder) -> None:
            if left[0]:
                left[0] -= 1
                protocol.transport.write(BIG[: 1 << 20])

        # A Unix socket's buffer is small: each round fills it again.
        async with connection(lambda: Recorder(resume_writing=more), unix=True) as it:
            written = await fill(it)
            assert len(await it.receive(written + rounds * (1 << 20))) == written + rounds * (1 << 20)

    run(factory, main())


# -- A peer that goes


@every_loop
def test_peer_resets_while_written_to(factory: Any) -> None:
    """connection_lost() gets the kernel's error, nothing is reported, and what was buffered is dropped."""

    async def main() -> list[str]:
        reports = Reports(asyncio.get_running_loop())
        async with connection() as it:
            await fill(it)
            it.reset()
            error = await it.protocol.lost
            assert isinstance(error, ConnectionError)
            assert it.transport.get_write_buffer_size() == 0
            it.transport.write(b"dropped")
            return reports.messages

    assert run(factory, main()) == []


# -- sendfile


@every_loop
def test_sendfile_sends_after_what_was_written(factory: Any, tmp_path: Any) -> None:
    """loop.sendfile() through the transport: what was written before, the file whole, then what is written again."""
    path = tmp_path / "file"
    path.write_bytes(BIG)

    async def main() -> None:
        async with connection() as it:
            it.transport.write(b"before ")
            receiving = asyncio.create_task(it.receive(7 + len(BIG) - 100 + 6))
            with path.open("rb") as file:
                sending = asyncio.create_task(asyncio.get_running_loop().sendfile(it.transport, file, offset=100))
                await asyncio.sleep(0)
                with pytest.raises(RuntimeError, match="sendfile is in progress"):
                    it.transport.write(b"x")
                assert await sending == len(BIG) - 100
            it.transport.write(b" after")
            assert await receiving == b"before " + BIG[100:] + b" after"

    run(factory, main())
