"""Datagram endpoints: UDP, Unix datagram sockets, and whatever else sends and receives whole messages.

**Receiving.**  The transport itself stands in the ready ring when its socket can be read, takes as many datagrams out
of the kernel at once as a system call gives, and hands them to the protocol one after another, in the context in which
it was made.  If nobody else has anything to do then, it looks again, until the kernel has no more or a turn has had
`native.datagrams.BATCH` or a few more: so no busy peer can keep others waiting.

asyncio takes one datagram a turn, and protocols rely on it: one that wakes a task expects the task to have run before
the next datagram comes.  So the rest of a batch waits for the next turn as soon as anything has been made ready, or the
loop is to stop; with nothing between two datagrams, nobody can tell one turn from two.  What has been taken from the
kernel and not been handed over yet is kept while reading is paused, and is lost with the socket's own queue when the
transport closes: after `close` or `abort` nothing is received.

**Sending.**  Each datagram is sent at once.  What the socket does not take waits, whole, until it does.

States: *open* → *closing* (``_closing``: no more receiving, what is buffered is still sent) → *lost* (``_conn_lost``
> 0: `connection_lost` is scheduled or has been called).
"""

from __future__ import annotations

import socket
import sys
import warnings
from collections import deque
from contextvars import Context
from typing import Any

from hocket.core import asyncio_private
from hocket.core.driver import READ, WRITE
from hocket.core.ready import Runnable
from hocket.core.scheduler import Scheduler
from hocket.native.datagrams import BATCH, DatagramBuffer
from hocket.net.flow import FlowControl
from hocket.net.reports import report

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.datagrams import known_family, send_datagram, send_datagram_to
    from hocket.native.sockets import local_address
    from hocket.native.step import call, copy_context

# From Python 3.13 on a datagram without content is sent, and flow control counts a header for each that is buffered.
_SENDS_EMPTY = sys.version_info >= (3, 13)
_HEADER = 8 if sys.version_info >= (3, 13) else 0
_NO_STREAM = "a datagram transport is not a stream: use sendto()"


class DatagramTransport(FlowControl):
    """A datagram endpoint, as `asyncio.DatagramTransport`: made by the loop, not by users.

    ``isinstance(transport, asyncio.DatagramTransport)`` holds through ``__class__``.
    """

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: Any,
        address: Any = None,
        waiter: Any = None,
        extra: dict[str, Any] | None = None,
        *,
        buffer: DatagramBuffer,
    ) -> None:
        self.publishes = False
        self._init_flow(loop)
        self._scheduler: Scheduler = loop
        self._driver = loop._driver
        self._receiver = buffer
        self._source_traceback = None
        self._sock: Any = sock
        self._sock_fd = int(sock.fileno())
        self._family = known_family(sock)
        self._extra: dict[str, Any] = {} if extra is None else dict(extra)
        self._describe_socket()
        # One end of a `socket.socketpair` has a peer without a name.
        self._connected = self._extra["peername"] is not None
        self._address = address
        # As with asyncio, a copy of the context of whoever asked: for receiving now, for sending when it is held back.
        self._context: Context = copy_context()
        self._write_context: Any = None
        self._rest: list[Any] | None = None
        self._rest_due = False
        self._went_on_in = 0
        self._outgoing: deque[Any] = deque()
        self._writing = False
        self._starting = True
        self._closing = False
        self._paused = False
        self._conn_lost = 0
        self._protocol = protocol
        loop._transports[self._sock_fd] = self
        self._scheduler.enqueue(protocol.connection_made, (self,), None)
        # Nothing is received before connection_made() has been called: the first run() only starts receiving.
        self._scheduler._queue.push(self)
        if waiter is not None:
            self._scheduler.enqueue(asyncio_private.set_result_unless_cancelled, (waiter, None), None)

    def _describe_socket(self) -> None:
        try:
            self._extra["sockname"] = local_address(self._sock, self._sock_fd)
        except OSError:
            self._extra["sockname"] = None
        if "peername" not in self._extra:
            try:
                self._extra["peername"] = self._sock.getpeername()
            except OSError:
                self._extra["peername"] = None
        self._extra["socket"] = asyncio_private.TransportSocket(self._sock)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return asyncio_private.FlowControlledDatagramTransport

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
        """In the child of a fork: the endpoint is the parent's.  Nothing is sent or received here."""
        self._conn_lost += 1
        self._outgoing.clear()
        self._buffered = 0
        self._rest = None

    def __del__(self) -> None:
        if self._sock is not None and self._scheduler._owner:
            self._sock.close()
        elif self._sock is not None:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self)  # noqa: B028  # nobody called
            self._sock.close()

    # -- What the transport tells of itself

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """One of ``socket``, ``sockname``, ``peername``, or what the maker added; *default* if there is no such."""
        return self._extra.get(name, default)

    def get_protocol(self) -> Any:
        """The protocol that receives the datagrams."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Hand all that comes from now on to *protocol*, an `asyncio.DatagramProtocol`."""
        self._protocol = protocol

    def is_closing(self) -> bool:
        """True once the transport is closing or closed."""
        return self._closing

    def is_reading(self) -> bool:
        """True unless receiving is paused or over."""
        return not self._closing and not self._paused

    # -- Receiving

    def pause_reading(self) -> None:
        """Receive nothing until `resume_reading`.  Harmless if already paused or closing."""
        if self._closing or self._paused:
            return
        self._paused = True
        self._driver.remove_reader(self._sock_fd)
        if self._scheduler._debug:
            asyncio_private.logger.debug("%r pauses reading", self)

    def resume_reading(self) -> None:
        """Go on receiving.  Harmless if not paused, or closing."""
        if self._closing or not self._paused:
            return
        self._paused = False
        self._context = copy_context()
        self._driver.add_reader(self._sock_fd, self)
        if self._rest is not None:
            self._go_on_later()
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
        if self._rest is not None or self._went_on_in == self._scheduler.turns:
            # First what came before, which has its own place in the ring and makes up this turn's share.
            return
        left = BATCH
        while left > 0:
            try:
                received = self._receiver.receive(self._sock, self._sock_fd, self._family)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                call(self._fatal_error, (error, "Fatal read error on datagram transport"), self._context)
                return
            if not received:
                return
            left -= len(received)
            if not self._deliver(received):
                return
            # Answers to answers may have come in meanwhile: to look is cheaper than to ask the driver.

    def _start_reading(self) -> None:
        self._starting = False
        try:
            self._driver.add_reader(self._sock_fd, self)
        except (OSError, ValueError) as error:
            # Not a descriptor that can be waited for.
            report(self, self._scheduler, error, self._context)

    def _deliver(self, received: list[Any]) -> bool:
        """Hand over *received*, as far as nobody can tell that it is done in one turn.  The rest is kept.

        True if nobody could tell either if more of them came in this turn.
        """
        scheduler = self._scheduler
        queue = scheduler._queue
        others = queue._count
        context = self._context
        count = len(received)
        index = 0
        try:
            while index < count:
                item = received[index]
                index += 1
                try:
                    if isinstance(item, tuple):
                        scheduler.bytes_received += len(item[0])
                        call(self._protocol.datagram_received, item, context)
                    else:
                        call(self._protocol.error_received, (item,), context)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    report(self, self._scheduler, error, self._context)
                if self._closing or self._paused or queue._count != others or scheduler._stopping:
                    break
        finally:
            if index < count and not self._closing:
                self._rest = received[index:]
                if not self._paused:
                    self._go_on_later()
        return not (queue._count or self._closing or self._paused or scheduler._stopping)

    def _go_on_later(self) -> None:
        if not self._rest_due:
            self._rest_due = True
            self._scheduler.at_turn_end(_Rest(self))

    def _go_on(self) -> None:
        self._rest_due = False
        rest = self._rest
        if rest is not None and not self._paused and not self._closing:
            self._rest = None
            self._went_on_in = self._scheduler.turns
            self._deliver(rest)

    # -- Sending

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send *data* to *addr*, or to the peer of an endpoint that has one.  Never blocks.

        What the kernel refuses is told to the protocol's `error_received`.  Raises `TypeError` unless *data* is bytes,
        a bytearray or a memoryview, and `ValueError` for another address than the peer's.  Without content it is sent
        from Python 3.13 on, and ignored before.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if not _SENDS_EMPTY and not data:
            return
        if isinstance(data, memoryview) and not data.c_contiguous:
            data = bytes(data)
        if self._address:
            if addr is not None and addr != self._address:
                raise ValueError(f"Invalid address: must be None or {self._address}")
            addr = self._address
        if self._conn_lost and (self._address or self._sock is None or self._scheduler._owner):
            self._send_on_lost()
            return
        if not self._outgoing:
            try:
                sent = self._send(data, addr)
            except OSError as error:
                self._protocol.error_received(error)
                return
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._fatal_error(error, "Fatal write error on datagram transport")
                return
            if sent:
                self._scheduler.bytes_sent += data.nbytes if type(data) is memoryview else len(data)
                return
            if self._conn_lost:
                # About to be closed: nobody is left who could send it later.
                self._send_on_lost()
                return
            self._writing = True
            self._write_context = copy_context()
            self._driver.add_writer(self._sock_fd, _Writer(self))
        kept = bytes(data)
        self._outgoing.append((kept, addr))
        self._buffered += len(kept) + _HEADER
        self._maybe_pause_protocol()

    def _send(self, data: Any, addr: Any) -> bool:
        if self._connected:
            return send_datagram(self._sock, self._sock_fd, self._family, data)
        return send_datagram_to(self._sock, self._sock_fd, self._family, data, addr)

    def _send_on_lost(self) -> None:
        if self._scheduler._owner:
            self._scheduler._check_closed()
        if self._conn_lost >= asyncio_private.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
            asyncio_private.logger.warning("socket.send() raised exception.")
        self._conn_lost += 1

    def _send_buffered(self) -> None:
        """Send what is buffered, as far as the socket takes it."""
        if self._conn_lost:
            return
        while self._outgoing:
            data, addr = self._outgoing[0]
            try:
                if not self._send(data, addr):
                    break
            except OSError as error:
                self._forget_first()
                # The others follow when the socket is reported again, which it is in the next turn.
                self._protocol.error_received(error)
                return
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._forget_first()
                self._fatal_error(error, "Fatal write error on datagram transport")
                return
            self._scheduler.bytes_sent += len(data)
            self._forget_first()
        self._maybe_resume_protocol()
        if not self._outgoing and self._writing:
            self._writing = False
            self._driver.remove_writer(self._sock_fd)
            if self._closing:
                self._conn_lost += 1
                self._connection_lost(None)

    def _forget_first(self) -> None:
        data, _ = self._outgoing.popleft()
        self._buffered -= len(data) + _HEADER

    # asyncio's transport is also a stream transport by inheritance, and does none of that.

    def can_write_eof(self) -> bool:
        """Raises `NotImplementedError`, as do the other methods of a stream: datagrams are sent with `sendto`."""
        raise NotImplementedError(_NO_STREAM)

    def write_eof(self) -> None:
        """Raises `NotImplementedError`."""
        raise NotImplementedError(_NO_STREAM)

    def write(self, data: Any) -> None:
        """Raises `NotImplementedError`."""
        raise NotImplementedError(_NO_STREAM)

    def writelines(self, list_of_data: Any) -> None:
        """Raises `NotImplementedError`."""
        raise NotImplementedError(_NO_STREAM)

    # -- The end

    def close(self) -> None:
        """Stop receiving, send what is buffered, then close.  `connection_lost` is called with None."""
        if self._closing:
            return
        self._closing = True
        self._rest = None
        if self._scheduler._owner:
            self._sock.close()
            return
        self._driver.remove_reader(self._sock_fd)
        if not self._outgoing:
            if self._writing:
                self._writing = False
                self._driver.remove_writer(self._sock_fd)
            self._lose_soon(None)

    def abort(self) -> None:
        """Close at once; what the socket has not taken is lost.  `connection_lost` is called with None."""
        if self._scheduler._owner:
            self.close()
            return
        self._force_close(None)

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on transport") -> None:
        # Never an OSError: those are told to the protocol.
        self._scheduler.call_exception_handler(  # type: ignore[attr-defined]
            {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
        )
        self._force_close(error)

    def _force_close(self, error: BaseException | None) -> None:
        if self._conn_lost:
            return
        self._outgoing.clear()
        self._buffered = 0
        if self._writing:
            self._writing = False
            self._driver.remove_writer(self._sock_fd)
        if not self._closing:
            self._closing = True
            self._rest = None
            self._driver.remove_reader(self._sock_fd)
        self._lose_soon(error)

    def _lose_soon(self, error: BaseException | None) -> None:
        self._conn_lost += 1
        self._scheduler.enqueue(self._connection_lost, (error,), None)

    def _connection_lost(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._sock.close()
            self._sock = None
            self._protocol = None
            self._loop = None


class _Rest(Runnable):
    """Hands over the rest of a batch in the next turn: stands where the socket's report would."""

    __slots__ = ("_transport", "_turn_ended")

    def __init__(self, transport: DatagramTransport) -> None:
        self.publishes = False
        self._transport = transport
        self._turn_ended = False

    def run(self) -> None:
        transport = self._transport
        if self._turn_ended:
            transport._go_on()
        else:
            # Behind all that this turn has made ready.
            self._turn_ended = True
            transport._scheduler._queue.push(self)


class _Writer(Runnable):
    """Runs when the socket can be written: the other half of a `DatagramTransport`."""

    __slots__ = ("_transport",)

    def __init__(self, transport: DatagramTransport) -> None:
        self.publishes = False
        self._transport = transport

    def run(self) -> None:
        transport = self._transport
        try:
            call(transport._send_buffered, (), transport._write_context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # error_received() or connection_lost() of the protocol has failed.
            report(transport, transport._scheduler, error, transport._write_context)


if not cython.compiled:
    # C attributes have a value from the start: what an `__init__` that fails leaves behind is looked at too.
    DatagramTransport._sock = None
