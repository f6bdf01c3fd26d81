"""References: each operation of the native code and the engine, done many times, keeps nothing.

A reference too many shows as memory blocks that stay (`sys.getallocatedblocks`), or in the reference counts of the
objects that went in; one too few as a crash, or as a count that sinks.  With a debug build of Python all references
are counted (`sys.gettotalrefcount`).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hocket
from hocket.native import epoll, sockets, step
from tests.leftovers import no_new_descriptors

#: So often that one block kept each time cannot be taken for anything else.
TIMES = 400
SLACK = TIMES // 8

send = getattr(step, "python_send", None) or step.send  # type: ignore[attr-defined]
throw = getattr(step, "python_throw", None) or step.throw  # type: ignore[attr-defined]
call = getattr(step, "python_call", None) or step.call  # type: ignore[attr-defined]

DATA = b"x" * 5000
ARRAY = bytearray(DATA)
ERROR = ZeroDivisionError("kept by nobody")
CONTEXT = contextvars.copy_context()


def held() -> int:
    total = getattr(sys, "gettotalrefcount", None)
    return int(total()) if total is not None else sys.getallocatedblocks()


def keeps_nothing(operation: Callable[[], object], *arguments: object) -> None:
    """Do *operation* many times; fail if memory, or the references to *arguments*, have grown or shrunk.

    Caches and free lists fill at first, so several rounds are allowed; what leaks grows in each of them.
    """
    found = []
    for _ in range(6):
        gc.collect()
        counts = [sys.getrefcount(argument) for argument in arguments]
        before = held()
        for _ in range(TIMES):
            operation()
        gc.collect()
        grown = held() - before
        after = [sys.getrefcount(argument) for argument in arguments]
        differences = [grown, *(now - then for then, now in zip(counts, after, strict=True))]
        if all(abs(difference) < SLACK for difference in differences):
            return
        found.append(differences)
    raise AssertionError(f"blocks, and references to the arguments, more after {TIMES} times, in each round: {found}")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def test_reads_and_writes(pair: tuple[socket.socket, socket.socket]) -> None:
    """Bytes, arrays and several pieces, sent and received."""
    left, right = pair
    buffer = sockets.ReadBuffer(1 << 16)
    pieces = [DATA, memoryview(ARRAY), b"end"]

    def operation() -> None:
        sockets.send_piece(left.fileno(), DATA)
        sockets.send_piece(left.fileno(), ARRAY)
        sockets.send_pieces(left.fileno(), pieces)
        buffer.read(right.fileno())
        left.send(b"more")
        sockets.receive_into(right.fileno(), ARRAY)
        left.send(b"more")
        buffer.fill(right.fileno())
        assert buffer.view[0] == b"m"[0]

    keeps_nothing(operation, DATA, ARRAY, pieces)


def test_reads_and_writes_that_fail(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing there, no such descriptor, the peer gone, and what is no buffer."""
    left, right = pair
    buffer = sockets.ReadBuffer(100)
    wrong: list[Any] = [DATA, "text", ARRAY]
    right.close()

    def operation() -> None:
        for failing in (
            lambda: buffer.read(-1),
            lambda: buffer.fill(-1),
            lambda: sockets.receive_into(-1, ARRAY),
            lambda: sockets.receive_into(left.fileno(), DATA),
            lambda: sockets.receive_into(left.fileno(), None),
            lambda: sockets.send_piece(left.fileno(), DATA),
            lambda: sockets.send_piece(left.fileno(), ARRAY),
            lambda: sockets.send_piece(left.fileno(), "text"),
            lambda: sockets.send_pieces(left.fileno(), wrong),
            lambda: sockets.send_pieces(left.fileno(), [DATA, ARRAY]),
        ):
            with pytest.raises((OSError, TypeError, BufferError)):
                failing()

    keeps_nothing(operation, DATA, ARRAY, wrong)


async def _returns() -> object:
    return DATA


async def _fails() -> None:
    raise ZeroDivisionError


class _Pause:
    def __await__(self) -> Iterator[object]:
        yield DATA


async def _pauses() -> None:
    await _Pause()


@pytest.mark.parametrize("context", [None, CONTEXT], ids=["here", "context"])
def test_steps(context: contextvars.Context | None) -> None:
    """A coroutine that returns, fails, pauses, is thrown into; and one that has ended already."""

    def operation() -> None:
        send(_returns(), context)
        send(_fails(), context)
        waiting = _pauses()
        assert send(waiting, context) is DATA
        throw(waiting, ZeroDivisionError(), context)
        send(waiting, context)

    keeps_nothing(operation, DATA, CONTEXT)


def test_calls() -> None:
    """A callback that returns, and one that fails, in a context."""

    def fails() -> None:
        raise ZeroDivisionError

    def operation() -> None:
        call(len, (DATA,), CONTEXT)
        with pytest.raises(ZeroDivisionError):
            call(fails, (), CONTEXT)
        with pytest.raises(TypeError):
            call(len, (), CONTEXT)

    keeps_nothing(operation, DATA, CONTEXT, fails)


def test_pollers(pair: tuple[socket.socket, socket.socket]) -> None:
    """Made, used, refused and closed."""
    left, right = pair
    right.send(b"x")

    def operation() -> None:
        poller = epoll.Poller()
        poller.control(left.fileno(), 0, 1)
        assert poller.wait(0) == 1
        poller.fd(0)
        poller.wake()
        poller.wait(0)
        with pytest.raises((ValueError, OSError)):
            poller.control(-1, 0, 1)
        poller.control(left.fileno(), 1, 0)
        poller.close()
        with pytest.raises((ValueError, OSError)):
            poller.control(left.fileno(), 0, 1)

    with no_new_descriptors():
        keeps_nothing(operation)


class _Quiet(asyncio.Protocol):
    """Fails where it is told to."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing

    def data_received(self, data: bytes) -> None:
        if self.failing == "data_received":
            raise ZeroDivisionError

    def eof_received(self) -> None:
        if self.failing == "eof_received":
            raise ZeroDivisionError


async def _stream(loop: asyncio.AbstractEventLoop, how: str) -> None:
    left, right = socket.socketpair()
    left.setblocking(False)
    with right:
        transport, _ = await loop.create_connection(lambda: _Quiet(how), sock=left)
        transport.write(DATA)
        transport.writelines([DATA, ARRAY])
        with contextlib.suppress(TypeError):
            transport.write("text")  # type: ignore[arg-type]
        if how == "broken":
            right.close()
            transport.write(DATA)
        elif how == "full":
            transport.write(bytes(500_000))
        else:
            right.send(DATA)
            right.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)


async def _futures(loop: asyncio.AbstractEventLoop, how: str) -> None:
    future = loop.create_future()
    future.add_done_callback(len.__class__)
    future.cancel("why")
    with contextlib.suppress(asyncio.CancelledError):
        await future
    failed = loop.create_future()
    failed.set_exception(ZeroDivisionError())
    with contextlib.suppress(ZeroDivisionError):
        await failed

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        if number % 2:
            raise ZeroDivisionError

    running = [loop.create_task(work(number)) for number in range(4)]
    running[0].cancel()
    await asyncio.gather(*running, return_exceptions=True)
    loop.call_later(100, print, DATA).cancel()
    loop.call_soon(print, DATA).cancel()
    loop.call_soon_threadsafe(len, DATA)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("work", "how"),
    [(_stream, how) for how in ("", "data_received", "eof_received", "broken", "full")] + [(_futures, "")],
)
def test_loops(work: Callable[[asyncio.AbstractEventLoop, str], Any], how: str) -> None:
    """Transports, futures, tasks and timers, those that fail too."""
    loop = hocket.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    try:
        keeps_nothing(lambda: loop.run_until_complete(work(loop, how)), DATA, ARRAY)
    finally:
        loop.close()


def test_whole_loops() -> None:
    """A loop that is made and closed leaves nothing."""

    def operation() -> None:
        with asyncio.Runner(loop_factory=hocket.new_event_loop) as runner:
            runner.run(asyncio.sleep(0))

    with no_new_descriptors():
        keeps_nothing(operation)
