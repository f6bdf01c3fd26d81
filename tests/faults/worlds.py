"""The same operations on stock asyncio and on hocket: a `World` is one of them, with a loop that runs step by step.

A world keeps a `Diary`: what the protocol was told, in what order, with what data; what the calls of the transport
raised; what the loop's exception handler and asyncio's log were given.  Two worlds that went through the same steps
must have the same diary.  How many turns something took, and how the bytes were cut, is not written down.
"""

from __future__ import annotations

import array
import asyncio
import atexit
import contextlib
import fcntl
import logging
import select
import socket
import termios
from collections.abc import Callable
from typing import Any

import hocket

LINGER_NOT = b"\1\0\0\0\0\0\0\0"


# One for all pairs: the kernel keeps the port of a connection that has ended for a minute, and thousands of pairs with
# a listener each would take all ports from the tests that run beside these.
_listener = socket.socket()
_listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
_listener.bind(("127.0.0.1", 0))
_listener.listen(1)
atexit.register(_listener.close)


class Diary:
    """What has happened, in the order in which it did."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []

    def note(self, what: str, *details: Any) -> None:
        self.entries.append((what, *details))

    def received(self, data: bytes) -> None:
        """Bytes that came in several pieces count as one: where a stream is cut is nobody's promise."""
        if self.entries and self.entries[-1][0] == "data":
            self.entries[-1] = ("data", self.entries[-1][1] + data)
        else:
            self.note("data", data)

    def count(self, what: str) -> int:
        return sum(entry[0] == what for entry in self.entries)


class _Log(logging.Handler):
    """Hands what asyncio logs to the diary of whichever world is running."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.diary: Diary | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.diary is not None:
            # The first line; what follows are representations of objects.
            self.diary.note("log", record.levelname, record.getMessage().splitlines()[0].partition("<")[0])


LOG = _Log()
logging.getLogger("asyncio").addHandler(LOG)


class Told:
    """The protocol half that all kinds share.  *reactions* are taken one after another, at the named callback."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.transport: Any = None
        self.reactions: dict[str, list[Callable[[Any], Any]]] = {}

    def _told(self, what: str, *details: Any) -> Any:
        self.diary.note(what, *details)
        return self._react(what)

    def _react(self, what: str) -> Any:
        waiting = self.reactions.get(what)
        if waiting:
            return waiting.pop(0)(self.transport)
        return None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._told("connection_made")

    def eof_received(self) -> Any:
        return self._told("eof_received")

    def pause_writing(self) -> None:
        self._told("pause_writing")

    def resume_writing(self) -> None:
        self._told("resume_writing")

    def connection_lost(self, exc: BaseException | None) -> None:
        self._told("connection_lost", type(exc).__name__)


class Plain(Told, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes, f"data_received() got {type(data)}"
        self.diary.received(data)
        self._react("data_received")


class Buffered(Told, asyncio.BufferedProtocol):
    def __init__(self, diary: Diary, size: int = 1000) -> None:
        super().__init__(diary)
        self.memory = bytearray(size)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.memory

    def buffer_updated(self, nbytes: int) -> None:
        self.diary.received(bytes(self.memory[:nbytes]))
        self._react("data_received")


class World:
    """A loop, and what happens on it.  `turns` runs it; nothing moves in between."""

    def __init__(self, name: str, make_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.name = name
        self.loop = make_loop()
        self.loop.set_exception_handler(self._report)
        self.diary = Diary()

    def _report(self, loop: Any, context: dict[str, Any]) -> None:
        # Whose callback it was is named in asyncio's own words.
        message = context["message"].partition("<")[0]
        if message.startswith("Exception in callback "):
            message = "Exception in callback"
        self.diary.note("reported", message, type(context.get("exception")).__name__)

    def run(self, main: Any, seconds: float = 10.0) -> Any:
        """Run a coroutine to its end, with asyncio's log in this world's diary."""

        async def bounded() -> Any:
            return await asyncio.wait_for(main, seconds)

        LOG.diary = self.diary
        try:
            return self.loop.run_until_complete(bounded())
        finally:
            LOG.diary = None

    def turns(self, count: int = 8) -> None:
        """Let the loop go round *count* times; longer as long as that goes on writing the diary."""

        async def pass_() -> None:
            left = count
            while left > 0:
                before = len(self.diary.entries)
                await asyncio.sleep(0)
                left = left - 1 if len(self.diary.entries) == before else count

        self.run(pass_())

    def call(self, *functions: Callable[[], Any]) -> None:
        """Call *functions*, one after another in one turn of the loop, and note what they return or raise."""

        async def together() -> None:
            for function in functions:
                self.attempt(function)

        self.run(together())

    def attempt(self, function: Callable[[], Any]) -> None:
        try:
            result = function()
        except Exception as error:
            self.diary.note("raised", type(error).__name__)
        else:
            if result is not None:
                self.diary.note("returned", result)

    def close(self) -> None:
        self.loop.close()


def stock_world() -> World:
    return World("stock", asyncio.SelectorEventLoop)


def hocket_world(driver: str | None = None) -> World:
    return World("hocket", lambda: hocket.new_event_loop(driver=driver))


def socket_pair(family: str) -> tuple[socket.socket, socket.socket]:
    """Two connected stream sockets, ``tcp`` or ``unix``, which do not block and have small buffers in the kernel."""
    if family == "unix":
        ours, peer = socket.socketpair()
    else:
        ours = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        # Servers may have its port while the kernel keeps it for a connection that has ended.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ours.connect(_listener.getsockname())
        peer, address = _listener.accept()
        while address != ours.getsockname():  # Somebody who has taken this port for another.
            peer.close()
            peer, address = _listener.accept()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ours.setblocking(False)
    peer.setblocking(False)
    return ours, peer


def in_flight(sock: socket.socket, other: socket.socket) -> bool:
    """Whether *other* has not been given everything that was sent: loopback is slow on a machine that is busy."""
    if other.fileno() >= 0 and other.family == socket.AF_INET:
        other.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # Or the kernel says so only after a while.
    unsent = array.array("i", [0])
    fcntl.ioctl(sock, termios.TIOCOUTQ, unsent)
    return unsent[0] > 0


class Peer:
    """The socket at the other end.  Every method returns at once."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.received = bytearray()
        self.end: str | None = None

    @property
    def open(self) -> bool:
        return self.socket.fileno() >= 0

    def read(self, most: int = 1 << 40) -> int:
        """Take up to *most* bytes of what has arrived."""
        taken = 0
        while self.open and self.end is None and taken < most:
            try:
                data = self.socket.recv(min(most - taken, 1 << 16))
            except BlockingIOError:
                break
            except OSError as error:
                self.end = type(error).__name__
                break
            if not data:
                self.end = "eof"
                break
            self.received += data
            taken += len(data)
        return taken

    def send(self, data: bytes) -> int:
        if not self.open:
            return 0
        try:
            return self.socket.send(data, socket.MSG_NOSIGNAL)
        except OSError:
            return 0

    def shutdown(self, how: int = socket.SHUT_WR) -> None:
        if self.open:
            with contextlib.suppress(OSError):
                self.socket.shutdown(how)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close so that the other end is told "connection reset" (a Unix socket does so if something is unread)."""
        if self.open:
            if self.socket.family == socket.AF_UNIX:
                self.close()
                return
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            self.close()


def arrived(sock_fd: int, seconds: float = 1.0) -> None:
    """Wait until the kernel has something to tell of a descriptor."""
    poll = select.poll()
    poll.register(sock_fd, select.POLLIN | select.POLLRDHUP)
    poll.poll(seconds * 1000)
