"""The transport of a connected stream socket: TCP, and Unix sockets too.

**Reading.**  The transport itself stands in the ready ring when its socket can be read, reads once (so that no busy
peer can keep others waiting), and hands the bytes to the protocol in a copy of the context in which it was made.

**Writing** is in `hocket.net.writing`.

**Idle** connections are what servers have most of: what few ask for (a `socket.socket`, the dictionary behind
`get_extra_info`) is made when somebody does.

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
from hocket.core.handles import Handle
from hocket.core.ready import Runnable
from hocket.net.layer import Layer
from hocket.net.reports import report
from hocket.net.writing import StreamWriting

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.method import call_method, copy_of
    from hocket.native.sockets import address_from, close_descriptor, local_address, receive_into, set_nodelay
    from hocket.native.step import call, copy_context
    from hocket.net.layer import hand_over
    from hocket.net.stock_streams import sink_of

#: The most that one read takes, in bytes.
READ_SIZE = 256 * 1024

_BufferedProtocol = asyncio.BufferedProtocol


class StreamTransport(StreamWriting):
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
        self._socket: Any = sock
        self._kind: Any = None
        self._init_stream(loop, int(sock.fileno()), protocol, server)
        self._name_socket(extra)
        if type(sock) is not socket.socket:
            asyncio_private.set_nodelay(sock)
        elif sock.proto == socket.IPPROTO_TCP:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._open(protocol)
        if waiter is not None:
            # Nobody is told before connection_made() has been called.
            self._scheduler.enqueue(asyncio_private.set_result_unless_cancelled, (waiter, None), None)

    def _init_stream(self, loop: Any, fd: int, protocol: Any, server: Any) -> None:
        self.publishes = False
        self._init_writing(loop, fd)
        self._source_traceback = None
        # What the socket is known by: its names, and all else that there is to tell, once somebody has asked.
        self._sockname: Any = None
        self._peername: Any = None
        self._told: dict[str, Any] | None = None
        # In which context the protocol hears of what is read: a copy of that of whoever asked for it, as with asyncio.
        self._context: Context = copy_context()
        self._server = server
        self._starting = True
        self._paused = False
        self._protocol_connected = False
        self.set_protocol(protocol)

    def _open(self, protocol: Any) -> None:
        """Have connection_made() called, and then start reading."""
        self._is_open = True
        self._scheduler.connections_opened += 1
        if self._sock_fd >= 0:
            self._streams._transports.put(self._sock_fd, self)
        if self._scheduler._debug:
            self._opening: Any = None
            self._scheduler.enqueue(protocol.connection_made, (self,), None)
        else:
            self._opening = protocol.connection_made
        self._scheduler._queue.push(self)

    def _name_socket(self, extra: dict[str, Any] | None) -> None:
        try:
            self._sockname = local_address(self._socket, self._sock_fd)
        except OSError:
            pass
        if extra is not None and "peername" in extra:
            self._peername = extra["peername"]
        else:
            try:
                self._peername = self._socket.getpeername()
            except OSError:
                pass
        if extra:
            extra["sockname"] = self._sockname
            extra["peername"] = self._peername
            extra["socket"] = asyncio_private.TransportSocket(self._socket)
            self._told = extra

    @property
    def _sock(self) -> Any:
        """The socket, which belongs to the transport; None when it is closed."""
        return self._get_socket() if self._is_open else None

    def _get_socket(self) -> Any:
        if self._socket is None:
            if self._kind is None:
                self._socket = _closed_socket()
            else:
                family, kind, proto = self._kind
                self._socket = socket.socket(family, kind, proto, self._sock_fd)
                self._kind = None
        return self._socket

    def _close_socket(self) -> None:
        self._scheduler.connections_closed += 1
        if self._kind is not None:
            self._kind = None
            close_descriptor(self._sock_fd)
        elif self._socket is not None:
            self._socket.close()

    @property
    def _extra(self) -> dict[str, Any]:
        if self._told is None:
            self._told = {
                "peername": address_from(self._peername),
                "socket": asyncio_private.TransportSocket(self._get_socket()),
                "sockname": self._sockname,
            }
        return self._told

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return asyncio_private.FlowControlledTransport

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if not self._is_open:
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
        self._discard()
        self._flush_due = False

    def __del__(self) -> None:
        if not self._is_open:
            return
        if self._scheduler._owner:
            self._close_socket()
            return
        warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self)  # noqa: B028  # nobody called
        self._close_socket()
        if self._server is not None:
            asyncio_private.detach(self._server, self)

    # -- What the transport tells of itself

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """One of ``socket``, ``sockname``, ``peername``, or what the maker added; *default* if there is no such."""
        if self._told is None:
            if name == "peername":
                return address_from(self._peername)
            if name == "sockname":
                return self._sockname
            if name != "socket":
                return default
        return self._extra.get(name, default)

    def get_protocol(self) -> Any:
        """The protocol that receives the data."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Hand all that comes from now on to *protocol*, an `asyncio.Protocol` or `asyncio.BufferedProtocol`."""
        self._buffered_protocol = isinstance(protocol, _BufferedProtocol)
        self._sink = sink_of(protocol, self._scheduler._debug)
        self._layer: Layer | None = protocol if isinstance(protocol, Layer) else None
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
        """The socket can be read; or the connection is new."""
        if self._starting:
            self._start()
            return
        if self._conn_lost or self._paused or self._closing:
            return
        data = None
        self._receiving = True
        try:
            if self._layer is not None:
                self._read_into_layer(self._layer)
            elif self._buffered_protocol:
                self._read_into_protocol()
            else:
                data = self._read()
        finally:
            self._receiving = False
            if self._flush_due:
                self.flush_gathered()
        if data is not None:
            self._streams._read_buffer.give_back(data)

    def _read(self) -> Any:
        """Hand what has come to the protocol; returns it."""
        context = self._context
        try:
            data = self._streams._read_buffer.read(self._sock_fd)
        except OSError as error:
            call(self._fatal_error, (error, "Fatal read error on socket transport"), context)
            return None
        if data is None:
            return None
        if not data:
            call(self._end_of_stream, (), context)
            return None
        self._scheduler.bytes_received += len(data)
        try:
            if self._sink is None or not self._sink.receive(data):
                call_method(self._protocol, "data_received", data, context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            call(self._fatal_error, (error, "Fatal error: protocol.data_received() call failed."), context)
            return None
        return data

    def _start(self) -> None:
        opening = self._opening
        if opening is not None:
            self._opening = None
            context = copy_of(self._context)
            try:
                call(opening, (self,), context)
            except (SystemExit, KeyboardInterrupt):
                # Reading starts if the loop goes on.
                self._scheduler._queue.push(self)
                raise
            except BaseException as error:
                Handle(opening, (self,), self._scheduler, context)._report(error, opening, (self,))
        self._starting = False
        if self._conn_lost or self._paused or self._closing:
            return
        try:
            self._driver.add_reader(self._sock_fd, self)
        except (OSError, ValueError) as error:
            # Not a descriptor that can be waited for.
            report(self, self._scheduler, error, self._context)

    def _read_into_layer(self, layer: Layer) -> None:
        context = self._context
        buffer = self._streams._read_buffer
        try:
            count = buffer.fill(self._sock_fd)
        except OSError as error:
            call(self._fatal_error, (error, "Fatal read error on socket transport"), context)
            return
        if count < 0:
            return
        if count == 0:
            call(self._end_of_stream, (), context)
            return
        self._scheduler.bytes_received += count
        try:
            hand_over(layer, buffer, count, context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            call(self._fatal_error, (error, "Fatal error: protocol.buffer_updated() call failed."), context)

    def _read_into_protocol(self) -> None:
        context = self._context
        try:
            buffer = call_method(self._protocol, "get_buffer", -1, context)
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            call(self._fatal_error, (error, "Fatal error: protocol.get_buffer() call failed."), context)
            return
        try:
            count = receive_into(self._sock_fd, buffer)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            call(self._fatal_error, (error, "Fatal read error on socket transport"), context)
            return
        if count < 0:
            return
        if count == 0:
            call(self._end_of_stream, (), context)
            return
        self._scheduler.bytes_received += count
        try:
            call_method(self._protocol, "buffer_updated", count, context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            call(self._fatal_error, (error, "Fatal error: protocol.buffer_updated() call failed."), context)

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
        if not self._buffered and not self._conn_lost:
            self._shutdown()

    def _shutdown(self) -> None:
        try:
            self._get_socket().shutdown(socket.SHUT_WR)
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
            self._close_socket()
            return
        self._driver.remove_reader(self._sock_fd)
        if not self._buffered:
            self._lose_soon(None)

    def abort(self) -> None:
        """Close at once; what the socket has not taken is lost.  `connection_lost` is called with None."""
        if self._scheduler._owner:
            self.close()
            return
        self._flush_now()
        self._force_close(None)

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on transport") -> None:
        self._flush_now()
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
        self._discard()
        if self._writing:
            self._writing = False
            self._driver.remove_writer(self._sock_fd)
        if not self._closing:
            self._closing = True
            self._driver.remove_reader(self._sock_fd)
        self._lose_soon(error)

    def _lose_soon(self, error: BaseException | None) -> None:
        self._conn_lost += 1
        if self._scheduler._debug:
            self._scheduler.enqueue(self._connection_lost, (error,), None)
        else:
            self._scheduler._check_closed()
            self._scheduler._queue.push(_Ending(self, error))

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
            self._close_socket()
            self._is_open = False
            self._protocol = None
            self._sink = None
            self._layer = None
            self._loop = None
            self._writer = None
            server = self._server
            self._server = None
            if server is not None:
                asyncio_private.detach(server, self)


class _Ending(Runnable):
    """`connection_lost`, which is due: a handle that needs neither a bound method nor a tuple."""

    __slots__ = ("_context", "_error", "_transport")

    def __init__(self, transport: StreamTransport, error: BaseException | None) -> None:
        self.publishes = False
        self._transport = transport
        self._error = error
        self._context = copy_context()

    def run(self) -> None:
        transport, error = self._transport, self._error
        try:
            call_method(transport, "_connection_lost", error, self._context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as raised:
            ending = transport._connection_lost
            handle = Handle(ending, (error,), transport._scheduler, self._context)
            handle._report(raised, ending, (error,))
        finally:
            # The traceback holds this frame, and would hold the exception: a cycle.
            self._error = error = None


def accepted_transport(loop: Any, fd: int, kind: Any, protocol: Any, peername: Any, server: Any) -> StreamTransport:
    """The transport of a connection that has been accepted, without a `socket.socket` around its descriptor *fd*.

    *kind* is its family, type and protocol, as `socket.socket` takes them, *peername* what `accept` has told.  If this
    fails, *fd* is still the caller's.
    """
    transport = StreamTransport.__new__(StreamTransport)
    if server is not None:
        asyncio_private.attach(server, transport)
    transport._socket = None
    transport._init_stream(loop, fd, protocol, server)
    transport._peername = peername
    try:
        transport._sockname = local_address(None, fd)
    except OSError:
        pass
    if kind[0] != socket.AF_UNIX:
        set_nodelay(fd)
    transport._kind = kind
    transport._open(protocol)
    return transport


def _closed_socket() -> socket.socket:
    """What `get_extra_info` shows of a socket that nobody asked for while it was open."""
    closed = socket.socket.__new__(socket.socket)
    closed._io_refs = 0  # type: ignore[attr-defined]
    closed._closed = True  # type: ignore[attr-defined]
    return closed


if not cython.compiled:
    # C attributes have a value from the start: what an `__init__` that fails leaves behind is looked at too.
    StreamTransport._is_open = False
