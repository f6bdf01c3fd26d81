"""The transport of a connected stream socket: TCP, and Unix sockets too.

**Reading.**  The transport itself stands in the ready ring when its socket can be read, reads once (so that no busy
peer can keep others waiting), and hands the bytes to the protocol in a copy of the context in which it was made.

**Writing.**  What a protocol writes during a turn is gathered and leaves in one system call when the turn ends, before
the loop waits: an HTTP answer's headers and body are two writes and one packet.  Nothing of that can be seen from
outside: whoever asks how much is buffered, closes, aborts, ends the stream, or writes much, has everything written
first that the socket takes, as if it had been written at once.

States: *open* → *closing* (``_closing``: no more reading, what is buffered is still written) → *lost* (``_conn_lost``
> 0: `connection_lost` is scheduled or has been called; what is written now is counted and dropped).
"""

from __future__ import annotations

import asyncio
import socket
import warnings
from contextvars import Context
from typing import Any

from hocket.core import asyncio_private
from hocket.core.driver import READ, WRITE
from hocket.core.ready import Runnable
from hocket.core.scheduler import Scheduler
from hocket.native.sockets import ReadBuffer
from hocket.net.flow import FlowControl
from hocket.net.readiness import Readiness
from hocket.net.reports import report

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.sockets import local_address, receive_into, send_piece, send_pieces
    from hocket.native.step import call, copy_context

#: The most that one read takes, in bytes.
READ_SIZE = 256 * 1024
#: So much is written at once instead of being gathered, in bytes.  One system call saved is then little beside the
#: copy, and what is sent at once is freed while it is still in the processor's cache: 64 KiB messages held back until
#: the end of a turn cost three times as much.
_GATHER_AT_MOST = 16 * 1024


class StreamTransport(FlowControl):
    """A connected stream socket, as `asyncio.Transport`: made by the loop, not by users.

    ``isinstance(transport, asyncio.Transport)`` holds through ``__class__``.
    """

    # What asyncio's loop asks of a transport that may be upgraded to TLS, or send a file through the kernel.
    _start_tls_compatible = True
    _sendfile_compatible = asyncio_private.SENDFILE_TRY_NATIVE
    max_size = READ_SIZE

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: Any,
        waiter: Any = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> None:
        if server is not None:
            # Refused by a server that has closed.
            asyncio_private.attach(server, self)
        self.publishes = False
        self._init_flow(loop)
        self._source_traceback = None
        self._scheduler: Scheduler = loop
        self._driver = loop._driver
        self._read_buffer: ReadBuffer = loop._read_buffer
        self._sock: Any = sock
        self._sock_fd = int(sock.fileno())
        self._extra: dict[str, Any] = {} if extra is None else extra
        self._describe_socket()
        # In which context the protocol hears of what is read, and of what has become of its writing: a copy of that
        # of whoever asked for it, as with asyncio.
        self._context: Context = copy_context()
        self._write_context: Any = None
        self._server = server
        self._buffer: list[Any] = []
        self._gather_at_most = _GATHER_AT_MOST
        self._flush_due = False
        self._writing = False
        self._writer: Any = None
        self._empty_waiter: Any = None
        self._eof = False
        self._starting = True
        self._closing = False
        self._paused = False
        self._conn_lost = 0
        self._protocol_connected = False
        self.set_protocol(protocol)
        loop._transports[self._sock_fd] = self
        self._scheduler.enqueue(self._protocol.connection_made, (self,), None)
        # Nothing is read before connection_made() has been called: the first run() only starts reading.
        self._scheduler._queue.push(self)
        if waiter is not None:
            # Nobody is told before either.
            self._scheduler.enqueue(asyncio_private.set_result_unless_cancelled, (waiter, None), None)

    def _describe_socket(self) -> None:
        sock = self._sock
        try:
            self._extra["sockname"] = local_address(sock, self._sock_fd)
        except OSError:
            self._extra["sockname"] = None
        if "peername" not in self._extra:
            try:
                self._extra["peername"] = sock.getpeername()
            except OSError:
                self._extra["peername"] = None
        self._extra["socket"] = asyncio_private.TransportSocket(sock)
        if type(sock) is not socket.socket:
            asyncio_private.set_nodelay(sock)
        elif sock.proto == socket.IPPROTO_TCP:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return asyncio_private.FlowControlledTransport

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._sock is None:
            info.append("closed")
        elif self._closing:
            info.append("closing")
        info.append(f"fd={self._sock_fd}")
        if self._loop is not None and not self._loop.is_closed():
            interest = self._driver.interest(self._sock_fd)
            info.append("read=polling" if interest & READ else "read=idle")
            state = "polling" if interest & WRITE else "idle"
            info.append(f"write=<{state}, bufsize={self._buffered}>")
        return f"<{' '.join(info)}>"

    def disown(self) -> None:
        """In the child of a fork: the connection is the parent's.  Nothing is sent or received here."""
        self._conn_lost += 1
        self._buffer = []
        self._buffered = 0
        self._flush_due = False

    def __del__(self) -> None:
        if self._sock is not None and self._scheduler._owner:
            self._sock.close()
        elif self._sock is not None:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self)  # noqa: B028  # nobody called
            self._sock.close()
            if self._server is not None:
                asyncio_private.detach(self._server, self)

    # -- What the transport tells of itself

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """One of ``socket``, ``sockname``, ``peername``, or what the maker added; *default* if there is no such."""
        return self._extra.get(name, default)

    def get_protocol(self) -> Any:
        """The protocol that receives the data."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Hand all that comes from now on to *protocol*, an `asyncio.Protocol` or `asyncio.BufferedProtocol`."""
        self._buffered_protocol = isinstance(protocol, asyncio.BufferedProtocol)
        self._protocol = protocol
        self._protocol_connected = True

    def is_closing(self) -> bool:
        """True once the transport is closing or closed."""
        return self._closing

    def is_reading(self) -> bool:
        """True unless reading is paused or over."""
        return not self._closing and not self._paused

    # -- Reading

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`.  Harmless if already paused or closing."""
        if self._closing or self._paused:
            return
        self._paused = True
        self._driver.remove_reader(self._sock_fd)
        if self._scheduler._debug:
            asyncio_private.logger.debug("%r pauses reading", self)

    def resume_reading(self) -> None:
        """Go on reading.  Harmless if not paused, or closing."""
        if self._closing or not self._paused:
            return
        self._paused = False
        if not self._starting:
            # Else the start of reading is still to come, and overrules it.
            self._context = copy_context()
        self._driver.add_reader(self._sock_fd, self)
        if self._scheduler._debug:
            asyncio_private.logger.debug("%r resumes reading", self)

    def run(self) -> None:
        """The socket can be read."""
        if self._conn_lost or self._paused or self._closing:
            self._starting = False
            return
        if self._starting:
            self._start_reading()
            return
        if self._buffered_protocol:
            call(self._read_into_protocol, (), self._context)
            return
        try:
            data = self._read_buffer.read(self._sock_fd)
        except OSError as error:
            call(self._fatal_error, (error, "Fatal read error on socket transport"), self._context)
            return
        if data is None:
            return
        if not data:
            call(self._end_of_stream, (), self._context)
            return
        context = self._context
        try:
            call(self._protocol.data_received, (data,), context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            call(self._fatal_error, (error, "Fatal error: protocol.data_received() call failed."), context)

    def _start_reading(self) -> None:
        self._starting = False
        try:
            self._driver.add_reader(self._sock_fd, self)
        except (OSError, ValueError) as error:
            # Not a descriptor that can be waited for.
            report(self, self._scheduler, error, self._context)

    def _read_into_protocol(self) -> None:
        try:
            buffer = self._protocol.get_buffer(-1)
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, "Fatal error: protocol.get_buffer() call failed.")
            return
        try:
            count = receive_into(self._sock_fd, buffer)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, "Fatal read error on socket transport")
            return
        if count < 0:
            return
        if count == 0:
            self._end_of_stream()
            return
        try:
            self._protocol.buffer_updated(count)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, "Fatal error: protocol.buffer_updated() call failed.")

    def _end_of_stream(self) -> None:
        if self._scheduler._debug:
            asyncio_private.logger.debug("%r received EOF", self)
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal_error(error, "Fatal error: protocol.eof_received() call failed.")
            return
        if keep_open:
            # The protocol may still write; the socket would be readable for ever.
            self._driver.remove_reader(self._sock_fd)
        else:
            self.close()

    # -- Writing

    def write(self, data: Any) -> None:
        """Send *data*: bytes, or a bytearray or memoryview, which may be changed again at once.  Never blocks.

        Raises `TypeError` for other types, and `RuntimeError` after `write_eof` or during a `sendfile`.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
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
        if self._buffer:
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
        self._buffer.append(piece)
        self._buffered += len(piece)

    def _gathered(self) -> None:
        """Have what is buffered sent: when the turn ends, or at once if it is much."""
        if self._writing:
            self._maybe_pause_protocol()
        elif self._buffered >= self._gather_at_most or self._buffered > self._high_water:
            self._flush()
            self._maybe_pause_protocol()
        elif not self._flush_due:
            self._flush_due = True
            self._write_later()
            self._scheduler.at_turn_end(self._writer)

    def _write_later(self) -> None:
        """Have the rest of the writing done in a copy of the current context, as asyncio's watch for it would be."""
        self._write_context = copy_context()
        if self._writer is None:
            self._writer = _Writer(self)

    def _flush(self) -> None:
        """Write what the socket takes now.  If that is not all, the rest follows when it takes more."""
        gathered = self._flush_due
        self._flush_due = False
        buffer = self._buffer
        try:
            while buffer:
                count = send_piece(self._sock_fd, buffer[0]) if len(buffer) == 1 else send_pieces(self._sock_fd, buffer)
                if count < 0:
                    break
                self._buffered -= count
                if not self._written(count):
                    break
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._write_failed(error)
            return
        if buffer:
            if not self._writing:
                self._writing = True
                if not gathered:
                    self._write_later()
                self._driver.add_writer(self._sock_fd, self._writer)
        elif self._writing:
            self._writing = False
            self._driver.remove_writer(self._sock_fd)

    def _written(self, count: int) -> bool:
        """Take the first *count* bytes out of the buffer.  True if whole pieces left, and more may be tried."""
        buffer = self._buffer
        whole = 0
        while whole < len(buffer):
            size = len(buffer[whole])
            if size > count:
                break
            count -= size
            whole += 1
        if whole:
            del buffer[:whole]
        if count:
            buffer[0] = memoryview(buffer[0])[count:]
        return count == 0

    def _write_failed(self, error: BaseException) -> None:
        waiter = self._empty_waiter
        self._fatal_error(error, "Fatal write error on socket transport")
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    def drained(self) -> None:
        """Write what is due; then see to whoever waited for the buffer to empty."""
        if self._conn_lost or not self._buffer:
            self._flush_due = False
            return
        self._flush()
        if self._conn_lost:
            return
        self._maybe_resume_protocol()
        if self._buffer:
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

    # -- The end

    def can_write_eof(self) -> bool:
        """True: a stream socket can be closed for writing alone."""
        return True

    def write_eof(self) -> None:
        """Close the writing half when everything is written; reading goes on."""
        if self._closing or self._eof:
            return
        self._eof = True
        self._flush_now()
        if not self._buffer and not self._conn_lost:
            self._shutdown()

    def _shutdown(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            # The peer has gone meanwhile.
            self._fatal_error(error, "Fatal error on socket transport")

    def close(self) -> None:
        """Stop reading, write what is buffered, then close.  `connection_lost` is called with None."""
        if self._closing:
            return
        self._flush_now()
        if self._closing:
            return
        self._closing = True
        if self._scheduler._owner:
            self._sock.close()
            return
        self._driver.remove_reader(self._sock_fd)
        if not self._buffer:
            self._lose_soon(None)

    def abort(self) -> None:
        """Close at once; what the socket has not taken is lost.  `connection_lost` is called with None."""
        if self._scheduler._owner:
            self.close()
            return
        self._flush_now()
        self._force_close(None)

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on transport") -> None:
        if isinstance(error, OSError):
            if self._scheduler._debug:
                asyncio_private.logger.debug("%r: %s", self, message, exc_info=error)
        else:
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
            )
        self._force_close(error)

    def _force_close(self, error: BaseException | None) -> None:
        if self._conn_lost:
            return
        self._buffer = []
        self._buffered = 0
        if self._writing:
            self._writing = False
            self._driver.remove_writer(self._sock_fd)
        if not self._closing:
            self._closing = True
            self._driver.remove_reader(self._sock_fd)
        self._lose_soon(error)

    def _lose_soon(self, error: BaseException | None) -> None:
        self._conn_lost += 1
        self._scheduler.enqueue(self._connection_lost, (error,), None)

    def _lose(self, error: BaseException | None) -> None:
        self._conn_lost += 1
        self._connection_lost(error)

    def _connection_lost(self, error: BaseException | None) -> None:
        try:
            if self._protocol_connected:
                self._protocol.connection_lost(error)
        finally:
            if self._empty_waiter is not None:
                self._fail_sendfile()
            self._sock.close()
            self._sock = None
            self._protocol = None
            self._loop = None
            self._writer = None
            server = self._server
            self._server = None
            if server is not None:
                asyncio_private.detach(server, self)

    # -- For the loop's sendfile, which needs the buffer empty and writes on the socket itself

    def _make_empty_waiter(self) -> Any:
        if self._empty_waiter is not None:
            raise RuntimeError("Empty waiter is already set")
        self._flush_now()
        self._empty_waiter = self._loop.create_future()
        if not self._buffer:
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
    """Runs when the turn ends or the socket can be written: the other half of a `StreamTransport`."""

    __slots__ = ("_transport",)

    def __init__(self, transport: StreamTransport) -> None:
        self.publishes = False
        self._transport = transport

    def run(self) -> None:
        transport = self._transport
        try:
            call(transport.drained, (), transport._write_context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # The protocol's connection_lost() has failed; it is told by whoever calls it.
            report(transport, transport._scheduler, error, transport._write_context)


if not cython.compiled:
    # C attributes have a value from the start: what an `__init__` that fails leaves behind is looked at too.
    StreamTransport._sock = None


def _not_bytes(data: object) -> TypeError:
    return TypeError(f"data argument must be a {asyncio_private.BYTES_LIKE} object, not {type(data).__name__!r}")
