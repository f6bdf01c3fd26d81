"""The writing half of a stream socket's transport.

What a protocol writes while it is being given data is gathered and leaves in one system call when it returns: an HTTP
answer's headers and body are two writes and one packet.  What others write in a turn leaves when the turn ends, before
the loop waits.  Nothing of that can be seen from outside: whoever asks how much is buffered, closes, aborts, ends the
stream, or writes much, has everything written first that the socket takes, as if it had been written at once.
"""

from __future__ import annotations

from typing import Any

from hocket.core import asyncio_private
from hocket.core.ready import Runnable
from hocket.core.scheduler import Scheduler
from hocket.native.sockets import ReadBuffer
from hocket.net.flow import FlowControl
from hocket.net.readiness import Readiness
from hocket.net.reports import report
from hocket.net.table import TransportTable

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.sockets import send_piece, send_pieces
    from hocket.native.step import call, copy_context

#: So much is written at once instead of being gathered, in bytes.  One system call saved is then little beside the
#: copy, and what is sent at once is freed while it is still in the processor's cache: 64 KiB messages held back until
#: the end of a turn cost three times as much.
_GATHER_AT_MOST = 16 * 1024


class StreamWriting(FlowControl):
    """The part of a stream socket's transport that writes.

    ``_closing`` is True once the transport is to be closed, ``_conn_lost`` counts what is written after it was lost.
    """

    def _init_writing(self, loop: Any, fd: int) -> None:
        self._init_flow(loop)
        self._scheduler: Scheduler = loop
        self._driver = self._scheduler._driver
        self._streams: Streams = loop._streams
        self._sock_fd = fd
        # What is buffered: one piece, which is the usual case, or a list of several.
        self._piece: Any = None
        self._pieces: Any = None
        self._gather_at_most = _GATHER_AT_MOST
        # True while the protocol is being given data: what it writes leaves when it returns.
        self._receiving = False
        self._flush_due = False
        self._writing = False
        self._writer: Any = None
        # In which context the protocol hears of what has become of its writing, while something is buffered.
        self._write_context: Any = None
        self._empty_waiter: Any = None
        self._eof = False
        self._closing = False
        self._conn_lost = 0

    # -- What the other half does

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on transport") -> None:
        raise NotImplementedError

    def _shutdown(self) -> None:
        raise NotImplementedError

    def _lose(self, error: BaseException | None) -> None:
        raise NotImplementedError

    # -- Writing

    def write(self, data: Any) -> None:
        """Send *data*: bytes, or a bytearray or memoryview, which may be changed again at once.  Never blocks.

        Raises `TypeError` for other types, and `RuntimeError` after `write_eof` or during a `sendfile`.
        """
        if type(data) is not bytes and not isinstance(data, (bytes, bytearray, memoryview)):
            raise _not_bytes(data)
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._empty_waiter is not None:
            raise RuntimeError("unable to write; sendfile is in progress")
        if not data:
            return
        if self._conn_lost:
            self._write_to_lost()
            return
        self._append(data)
        self._gathered()

    def writelines(self, list_of_data: Any) -> None:
        """Send all of *list_of_data*, pieces as `write` takes them, one after another."""
        if self._eof:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        if self._empty_waiter is not None:
            raise RuntimeError("unable to writelines; sendfile is in progress")
        pieces = list(list_of_data)
        for data in pieces:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise _not_bytes(data)
        if not pieces:
            return
        if self._conn_lost:
            self._write_to_lost()
            return
        for data in pieces:
            if data:
                self._append(data)
        if self._buffered:
            self._gathered()

    def write_bytes(self, data: bytes) -> None:
        """As `write`, for those who know that it is bytes and that nobody has replaced `write`."""
        if self._eof or self._conn_lost or self._empty_waiter is not None or not data:
            self.write(data)
            return
        self._append(data)
        self._gathered()

    def _write_to_lost(self) -> None:
        if self._scheduler._owner:
            self._scheduler._check_closed()
        if self._conn_lost >= asyncio_private.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
            asyncio_private.logger.warning("socket.send() raised exception.")
        self._conn_lost += 1

    def _append(self, data: Any) -> None:
        # What the caller may change, or whose length is not in bytes, is copied.
        piece = data if type(data) is bytes else bytes(data)
        if not self._buffered:
            self._piece = piece
        else:
            if self._piece is not None:
                self._pieces = [self._piece]
                self._piece = None
            self._pieces.append(piece)
        self._buffered += len(piece)

    def _discard(self) -> None:
        self._piece = None
        self._pieces = None
        self._buffered = 0

    def _gathered(self) -> None:
        """Have what is buffered sent: when the protocol returns or the turn ends, or at once if it is much."""
        if self._writing:
            self._maybe_pause_protocol()
        elif self._buffered >= self._gather_at_most or self._buffered > self._high_water:
            self._flush()
            self._maybe_pause_protocol()
        elif not self._flush_due:
            self._flush_due = True
            # The rest of the writing is done in a copy of the current context, as asyncio's watch for it would be.
            self._write_context = copy_context()
            if not self._receiving:
                self._streams.add(self)

    def flush_gathered(self) -> None:
        """Write what was gathered."""
        if (
            self._piece is None
            or self._conn_lost
            or self._closing
            or self._eof
            or self._protocol_paused
            or self._empty_waiter is not None
        ):
            self._drain()
            return
        self._flush_due = False
        try:
            count = send_piece(self._sock_fd, self._piece)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            call(self._write_failed, (error,), self._write_context)
            return
        if count == self._buffered:
            # Nothing is left, and nobody waited for that.
            self._scheduler.bytes_sent += count
            self._piece = None
            self._buffered = 0
            self._write_context = None
            return
        if count > 0:
            self._written(count)
        self._wait_to_write()

    def _wait_to_write(self) -> None:
        """Have what is buffered written when the socket takes more."""
        self._writing = True
        if self._writer is None:
            self._writer = _Writer(self)
        self._driver.add_writer(self._sock_fd, self._writer)

    def _flush(self) -> None:
        """Write what the socket takes now.  If that is not all, the rest follows when it takes more."""
        gathered = self._flush_due
        self._flush_due = False
        try:
            while self._buffered:
                if self._piece is not None:
                    count = send_piece(self._sock_fd, self._piece)
                else:
                    count = send_pieces(self._sock_fd, self._pieces)
                if count < 0 or not self._written(count):
                    break
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._write_failed(error)
            return
        if self._buffered:
            if not self._writing:
                if not gathered:
                    self._write_context = copy_context()
                self._wait_to_write()
            return
        self._write_context = None
        if self._writing:
            self._writing = False
            self._driver.remove_writer(self._sock_fd)

    def _written(self, count: int) -> bool:
        """Take the first *count* bytes out of the buffer.  True if whole pieces left, and more may be tried."""
        self._scheduler.bytes_sent += count
        self._buffered -= count
        if not self._buffered:
            self._piece = None
            self._pieces = None
            return True
        if self._piece is not None:
            self._piece = memoryview(self._piece)[count:]
            return False
        pieces = self._pieces
        whole = 0
        while True:
            size = len(pieces[whole])
            if size > count:
                break
            count -= size
            whole += 1
        if whole:
            del pieces[:whole]
        if count:
            pieces[0] = memoryview(pieces[0])[count:]
        return count == 0

    def _write_failed(self, error: BaseException) -> None:
        waiter = self._empty_waiter
        self._fatal_error(error, "Fatal write error on socket transport")
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def _drain(self) -> None:
        """`drained`, in the context of whoever wrote."""
        context = self._write_context
        if context is None:
            # Written meanwhile, because somebody asked how much was buffered.
            return
        try:
            call(self.drained, (), context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # The protocol's connection_lost() has failed; it is told by whoever calls it.
            report(self, self._scheduler, error, context)

    def drained(self) -> None:
        """Write what is due; then see to whoever waited for the buffer to empty."""
        if self._conn_lost or not self._buffered:
            self._flush_due = False
            return
        self._flush()
        if self._conn_lost:
            return
        self._maybe_resume_protocol()
        if self._buffered:
            return
        if self._closing:
            if not self._conn_lost:
                self._lose(None)
            return
        if self._empty_waiter is not None and not self._empty_waiter.done():
            self._empty_waiter.set_result(None)
        if self._eof:
            self._shutdown()

    def _flush_now(self) -> None:
        if self._flush_due and not self._conn_lost:
            self._flush()

    # -- For the loop's sendfile, which needs the buffer empty and writes on the socket itself

    def _make_empty_waiter(self) -> Any:
        if self._empty_waiter is not None:
            raise RuntimeError("Empty waiter is already set")
        self._flush_now()
        self._empty_waiter = self._loop.create_future()
        if not self._buffered:
            self._empty_waiter.set_result(None)
        return self._empty_waiter

    def _reset_empty_waiter(self) -> None:
        self._empty_waiter = None

    def _fail_sendfile(self) -> None:
        """Tell whoever waits to send a file on what was our socket."""
        error = ConnectionError("Connection is closed by peer")
        sender = self._driver.remove_writer(self._sock_fd)
        if isinstance(sender, Readiness):
            sender.fail(error)
        elif not self._empty_waiter.done():
            self._empty_waiter.set_exception(error)


class _Writer(Runnable):
    """Runs when the socket can be written: the other half of a `StreamWriting`."""

    __slots__ = ("_transport",)

    def __init__(self, transport: StreamWriting) -> None:
        self.publishes = False
        self._transport = transport

    def run(self) -> None:
        self._transport._drain()


class Streams(Runnable):
    """What the stream transports of a loop share.  It knows who has gathered something, which leaves when the turn
    ends."""

    __slots__ = ("_read_buffer", "_transports", "_waiting")

    def __init__(self, read_buffer: ReadBuffer, transports: TransportTable) -> None:
        self.publishes = False
        self._read_buffer = read_buffer
        self._transports = transports
        self._waiting: list[StreamWriting] = []

    def add(self, transport: StreamWriting) -> None:
        """Write what *transport* has gathered when this turn ends."""
        if not self._waiting:
            transport._scheduler.at_turn_end(self)
        self._waiting.append(transport)

    def run(self) -> None:
        waiting = self._waiting
        self._waiting = []
        begun = 0
        try:
            for transport in waiting:
                begun += 1
                if transport._flush_due:
                    transport.flush_gathered()
        finally:
            if begun < len(waiting):
                # Interrupted, by Ctrl-C for one: the others are written when the next turn ends.
                for transport in waiting[begun:]:
                    self.add(transport)


def _not_bytes(data: object) -> TypeError:
    return TypeError(f"data argument must be a {asyncio_private.BYTES_LIKE} object, not {type(data).__name__!r}")
