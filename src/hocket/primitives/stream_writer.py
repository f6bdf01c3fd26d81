"""`StreamWriter` and `StreamReaderProtocol`, as in `asyncio.streams`: the writing half of a byte stream, and what
stands between both halves and the transport.

The protocol is a `ByteSink`: a transport of ours hands it what it has read without a call through Python.
"""

from __future__ import annotations

import asyncio
import sys
import warnings
import weakref
from collections import deque
from functools import partial
from typing import Any

from hocket.core import asyncio_private
from hocket.core.wait import Wait
from hocket.native.operation import Operation
from hocket.net.sink import ByteSink
from hocket.net.stream import StreamTransport
from hocket.primitives import coroutines
from hocket.primitives.stream_reader import StreamReader

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.method import is_plain
    from hocket.primitives.bound import check_awaited, is_done, new_future

# asyncio's own, whatever their names will stand for later on.
_StockProtocol = asyncio.StreamReaderProtocol
_StockReader = asyncio.StreamReader
_StockWriter = asyncio.StreamWriter

#: Up to Python 3.12 a server's connection stays open when its handler has dropped the writer; later, it is closed.
_KEEPS_WRITER = sys.version_info < (3, 13)


class StreamReaderProtocol(ByteSink):
    """Brings what a transport reads to a `StreamReader`.  Semantics of `asyncio.StreamReaderProtocol`.

    *client_connected_cb*, for a server, is called with the reader and a new `StreamWriter` when the connection is made;
    if it is a coroutine function it runs in a task, which is reported and its connection closed if it fails.
    """

    def __init__(self, stream_reader: Any, client_connected_cb: Any = None, loop: Any = None) -> None:
        self._direct = type(self) is StreamReaderProtocol and type(stream_reader) is StreamReader
        self._loop: Any = asyncio_private.get_loop_for_future() if loop is None else loop
        self._paused = False
        self._drain_waiters: deque[Any] = deque()
        self._connection_lost = False
        self._source_traceback: Any = None
        # The reader goes with its user; what comes then is dropped.
        self._stream_reader_wr: Any = None
        if stream_reader is not None:
            self._stream_reader_wr = weakref.ref(stream_reader)
            self._source_traceback = stream_reader._source_traceback
        # Before the connection is made nobody else may hold it.
        self._strong_reader: Any = None if client_connected_cb is None else stream_reader
        self._reject_connection = False
        self._stream_writer: Any = None
        self._task: Any = None
        self._transport: Any = None
        self._client_connected_cb = client_connected_cb
        self._over_ssl = False
        self._closed: Any = new_future(self._loop)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return _StockProtocol if type(self) is StreamReaderProtocol else type(self)

    def __del__(self) -> None:
        # Whether anybody has asked how the connection ended is nobody's fault.
        closed = self._closed
        if closed is not None and closed.done() and not closed.cancelled():
            closed.exception()

    @property
    def _stream_reader(self) -> Any:
        return None if self._stream_reader_wr is None else self._stream_reader_wr()

    def _replace_transport(self, transport: Any) -> None:
        self._transport = transport
        self._over_ssl = transport.get_extra_info("sslcontext") is not None
        reader = self._stream_reader
        if reader is not None:
            reader._transport = transport

    # -- What a transport calls

    def connection_made(self, transport: Any) -> None:
        """The connection is there: a server's handler starts."""
        if self._reject_connection:
            context = {
                "message": "An open stream was garbage collected prior to establishing network connection; "
                'call "stream.close()" explicitly.'
            }
            if self._source_traceback:
                context["source_traceback"] = self._source_traceback
            self._loop.call_exception_handler(context)
            transport.abort()
            return
        self._transport = transport
        reader = self._stream_reader
        if reader is not None:
            reader.set_transport(transport)
        self._over_ssl = transport.get_extra_info("sslcontext") is not None
        if self._client_connected_cb is not None:
            self._start_handler(transport, reader)

    def _start_handler(self, transport: Any, reader: Any) -> None:
        writer = StreamWriter(transport, self, reader, self._loop)
        if _KEEPS_WRITER:
            self._stream_writer = writer
        try:
            result = self._client_connected_cb(reader, writer)
        except Exception as error:
            self._report(transport, error)
            self._strong_reader = None
            return
        if asyncio_private.iscoroutine(result):
            self._task = self._loop.create_task(result)
            self._task.add_done_callback(partial(self._handled, transport))
        self._strong_reader = None

    def _handled(self, transport: Any, task: Any) -> None:
        """The handler's task is done."""
        if task.cancelled():
            transport.close()
            return
        error = task.exception()
        if error is not None:
            self._report(transport, error)

    def _report(self, transport: Any, error: BaseException) -> None:
        self._loop.call_exception_handler(
            {"message": "Unhandled exception in client_connected_cb", "exception": error, "transport": transport}
        )
        transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone: who reads, drains or waits for the end goes on."""
        reader = self._stream_reader
        if reader is not None:
            if exc is None:
                reader.feed_eof()
            else:
                reader.set_exception(exc)
        if not self._closed.done():
            if exc is None:
                self._closed.set_result(None)
            else:
                self._closed.set_exception(exc)
        self._connection_lost = True
        if self._paused:
            self._wake_drainers(exc)
        self._stream_reader_wr = None
        self._stream_writer = None
        self._task = None
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        reader = self._stream_reader
        if reader is not None:
            reader.feed_data(data)

    def receive(self, data: bytes) -> bool:
        """`data_received`, for a transport of ours."""
        if self._stream_reader_wr is None:
            return True
        reader = self._stream_reader_wr()
        if reader is None:
            return True
        ours = reader
        if ours._eof or not is_plain(self) or not is_plain(ours):
            return False
        ours._feed(data)
        return True

    def eof_received(self) -> bool:
        """The peer will send nothing more; the connection stays open for writing, except over TLS."""
        reader = self._stream_reader
        if reader is not None:
            reader.feed_eof()
        return not self._over_ssl

    # -- Flow control

    def pause_writing(self) -> None:
        """The transport's buffer is over its high-water mark: `StreamWriter.drain` waits."""
        if self._paused:
            raise AssertionError("pause_writing() called while writing is paused")
        self._paused = True
        if self._loop.get_debug():
            asyncio_private.logger.debug("%r pauses writing", self)

    def resume_writing(self) -> None:
        """It is under the low-water mark: whoever drains goes on."""
        if not self._paused:
            raise AssertionError("resume_writing() called while writing is not paused")
        self._paused = False
        if self._loop.get_debug():
            asyncio_private.logger.debug("%r resumes writing", self)
        self._wake_drainers(None)

    def _wake_drainers(self, error: BaseException | None) -> None:
        for waiter in self._drain_waiters:
            drain: Drain = waiter
            if not drain._is_done():
                drain._result = error
                drain._wake()

    def _drain_helper(self) -> Wait:
        return _draining(None, self)

    def _get_close_waiter(self, stream: Any) -> Any:
        return self._closed


class StreamWriter:
    """The writing half of a byte stream.  Semantics of `asyncio.StreamWriter`.

    Usually made by `open_connection` or `start_server`::

        writer.write(b"hello\\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    One that goes without having been closed is closed then, with a `ResourceWarning`.
    """

    def __init__(self, transport: Any, protocol: Any, reader: Any, loop: Any) -> None:
        if reader is not None and not isinstance(reader, (StreamReader, _StockReader)):
            raise AssertionError(f"reader must be a StreamReader or None, got {reader!r}")
        self._transport: Any = transport
        self._protocol: Any = protocol
        self._reader: Any = reader
        self._loop: Any = loop

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return _StockWriter if type(self) is StreamWriter else type(self)

    def __repr__(self) -> str:
        info = [type(self).__name__, f"transport={self._transport!r}"]
        if self._reader is not None:
            info.append(f"reader={self._reader!r}")
        return f"<{' '.join(info)}>"

    def __del__(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._loop.is_closed():
            warnings.warn("loop is closed", ResourceWarning, stacklevel=1)
        else:
            self.close()
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=1)

    @property
    def transport(self) -> Any:
        """The transport beneath."""
        return self._transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport tells of itself: ``peername``, ``socket``, ``ssl_object``, …"""
        return self._transport.get_extra_info(name, default)

    def write(self, data: Any) -> None:
        """Send *data*: bytes, or a bytearray or memoryview.  Never waits: `drain` does."""
        transport = self._transport
        if type(transport) is StreamTransport and type(data) is bytes and is_plain(transport):
            _write_bytes(transport, data)
        else:
            transport.write(data)

    def writelines(self, data: Any) -> None:
        """Send all pieces of *data*, one after another."""
        self._transport.writelines(data)

    def drain(self) -> Any:
        """``await writer.drain()`` waits, if the peer is slow, until it has taken most of what was written.

        Raises what ended the connection, or `ConnectionResetError` if it was closed.
        """
        if type(self._protocol) is not StreamReaderProtocol:
            return coroutines.drain(self)
        return _draining(self, self._protocol)

    def write_eof(self) -> None:
        """Close the writing half when everything is written; reading goes on."""
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        """True if the transport can close its writing half alone: over TLS, it cannot."""
        return self._transport.can_write_eof()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the stream when everything is written."""
        self._transport.close()

    def is_closing(self) -> bool:
        """True once the stream is closing or closed."""
        return self._transport.is_closing()  # type: ignore[no-any-return]

    def wait_closed(self) -> Any:
        """``await writer.wait_closed()`` waits until the connection is closed; raises the error that ended it."""
        if type(self._protocol) is not StreamReaderProtocol:
            return coroutines.wait_closed(self)
        return _waiting_closed(self)

    def start_tls(
        self,
        sslcontext: Any,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Any:
        """``await writer.start_tls(context)`` upgrades the open stream to TLS, for its reader too.

        Timeouts are in seconds.  Raises what the handshake failed with; the stream is closed then.
        """
        return coroutines.start_tls(self, sslcontext, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)


class Drain(Wait):
    """`StreamWriter.drain` of the writer that is its ``_item``; that of the protocol ``_owner`` alone if that is None.

    It is ``_quiet`` while it lets others run first; ``_result`` is the error that it is woken with.
    """

    __slots__ = ()

    _name = "StreamWriter.drain"

    def _begin(self) -> Any:
        writer: StreamWriter = self._item
        if writer is not None:
            reader = writer._reader
            if reader is not None:
                error = _exception_of(reader)
                if error is not None:
                    raise error
            if _is_closing(writer._transport):
                # Else who writes and drains for ever would never let connection_lost() be called.
                self._quiet = True
                self._suspend(writer._loop)
                self._wake()
                return self
        return self._wait()

    def _wait(self) -> Any:
        protocol: StreamReaderProtocol = self._owner
        if protocol._connection_lost:
            raise ConnectionResetError("Connection lost")
        if not protocol._paused:
            return None
        protocol._drain_waiters.append(self)
        return self._suspend(protocol._loop)

    def _resume(self) -> Any:
        self._check_woken()
        if self._quiet:
            self._quiet = False
            return self._wait()
        protocol: StreamReaderProtocol = self._owner
        protocol._drain_waiters.remove(self)
        if self._result is not None:
            error = self._result
            self._result = None
            raise error
        return None

    def _interrupt(self, error: BaseException) -> Any:
        if not self._quiet:
            protocol: StreamReaderProtocol = self._owner
            protocol._drain_waiters.remove(self)
        raise error


def _draining(writer: StreamWriter | None, protocol: StreamReaderProtocol) -> Drain:
    operation = Drain.__new__(Drain)
    operation._item = writer
    operation._owner = protocol
    return operation  # type: ignore[no-any-return]


def _exception_of(reader: Any) -> Any:
    if type(reader) is StreamReader:
        ours = reader
        return ours._exception
    return reader.exception()


def _write_bytes(transport: StreamTransport, data: bytes) -> None:
    transport.write_bytes(data)


def _is_closing(transport: Any) -> bool:
    if type(transport) is StreamTransport:
        ours = transport
        return ours._closing
    return bool(transport.is_closing())


class WaitClosed(Operation):
    """`StreamWriter.wait_closed`."""

    __slots__ = ()

    _name = "StreamWriter.wait_closed"

    def _begin(self) -> Any:
        protocol: StreamReaderProtocol = self._owner
        closed = protocol._closed
        if not is_done(closed):
            return closed
        closed.result()
        return None

    def _resume(self) -> Any:
        check_awaited(self._future)
        return None


def _waiting_closed(writer: StreamWriter) -> WaitClosed:
    operation = WaitClosed.__new__(WaitClosed)
    operation._owner = writer._protocol
    return operation  # type: ignore[no-any-return]


if not cython.compiled:
    # C attributes have a value from the start: what an `__init__` that fails leaves behind is looked at too.
    StreamReaderProtocol._closed = None
    StreamWriter._transport = None
