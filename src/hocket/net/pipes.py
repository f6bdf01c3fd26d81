"""Transports of pipes: what `asyncio.loop.connect_read_pipe` and `asyncio.loop.connect_write_pipe` return.

A *pipe* is one end of a pipe or FIFO, a character device or a socket.

Every `write` is one system call at once, unless something waits to be written already.  Nothing is gathered as for
sockets: other processes may write to the same pipe, and the kernel keeps only single writes (of up to ``PIPE_BUF``
bytes) whole among them; a terminal, a device or a socket of messages takes each write for what it is.

That the reader has gone is told by the kernel to whoever asks whether the writing end can be *read*; that is how a
`WritePipeTransport` learns of it before it writes.  A socket is taken for closed as well when something can be read
from it, as with asyncio.

In the child of a fork the transport is the parent's: nothing is written, and closing it closes the child's descriptor.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import sys
import warnings
from contextvars import Context
from typing import Any

from hocket.core import asyncio_private
from hocket.core.driver import READ, WRITE
from hocket.core.ready import Runnable
from hocket.core.scheduler import Scheduler
from hocket.native.sockets import ReadBuffer
from hocket.net.flow import FlowControl
from hocket.net.reports import report

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.files import write_file, write_file_pieces
    from hocket.native.step import call, copy_context


class ReadPipeTransport(Runnable):
    """The reading end of a pipe, as `asyncio.ReadTransport`: made by the loop, not by users.

    ``isinstance(transport, asyncio.ReadTransport)`` holds through ``__class__``.
    """

    def __init__(
        self, loop: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: dict[str, Any] | None = None
    ) -> None:
        self.publishes = False
        self._source_traceback = None
        self._fileno: int = pipe.fileno()
        mode = os.fstat(self._fileno).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
            raise ValueError("Pipe transport is for pipes/sockets only.")
        os.set_blocking(self._fileno, False)
        self._loop: Any = loop
        self._scheduler: Scheduler = loop
        self._driver = loop._driver
        self._read_buffer: ReadBuffer = loop._read_buffer
        self._pipe: Any = pipe
        self._extra: dict[str, Any] = {} if extra is None else dict(extra)
        self._extra["pipe"] = pipe
        self._context: Context = copy_context()
        self._protocol: Any = protocol
        self._starting = True
        self._closing = False
        self._paused = False
        self._scheduler.enqueue(protocol.connection_made, (self,), None)
        # Nothing is read before connection_made() has been called: the first run() only starts reading.
        self._scheduler._queue.push(self)
        if waiter is not None:
            self._scheduler.enqueue(asyncio_private.set_result_unless_cancelled, (waiter, None), None)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return asyncio.ReadTransport

    def __repr__(self) -> str:
        return _repr(self, READ)

    def __del__(self) -> None:
        if self._pipe is not None and self._scheduler._owner:
            self._pipe.close()
        elif self._pipe is not None:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self)  # noqa: B028  # nobody called
            self._pipe.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``pipe``, or what the maker added; *default* if there is no such."""
        return self._extra.get(name, default)

    def get_protocol(self) -> Any:
        """The protocol that receives the data."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Hand all that comes from now on to *protocol*, an `asyncio.Protocol`."""
        self._protocol = protocol

    def is_closing(self) -> bool:
        """True once the transport is closing or closed."""
        return self._closing

    def is_reading(self) -> bool:
        """True unless reading is paused or over."""
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`.  Harmless if already paused or closing."""
        if self._closing or self._paused:
            return
        self._paused = True
        self._driver.remove_reader(self._fileno)
        if self._scheduler._debug:
            asyncio_private.logger.debug("%r pauses reading", self)

    def resume_reading(self) -> None:
        """Go on reading.  Harmless if not paused, or closing."""
        if self._closing or not self._paused:
            return
        self._paused = False
        self._context = copy_context()
        self._driver.add_reader(self._fileno, self)
        if self._scheduler._debug:
            asyncio_private.logger.debug("%r resumes reading", self)

    def run(self) -> None:
        """The pipe can be read."""
        if self._closing or self._paused:
            self._starting = False
            return
        if self._starting:
            self._starting = False
            _watch(self, self._scheduler, self._driver, self._fileno)
            return
        try:
            data = self._read_buffer.read_file(self._fileno)
        except OSError as error:
            call(self._fatal_error, (error, "Fatal read error on pipe transport"), self._context)
            return
        if data is None:
            return
        if not data:
            call(self._end_of_stream, (), self._context)
            return
        self._scheduler.bytes_received += len(data)
        try:
            call(self._protocol.data_received, (data,), self._context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            report(self, self._scheduler, error, self._context)

    def _end_of_stream(self) -> None:
        if self._scheduler._debug:
            asyncio_private.logger.info("%r was closed by peer", self)
        self._closing = True
        self._driver.remove_reader(self._fileno)
        self._scheduler.enqueue(self._protocol.eof_received, (), None)
        self._scheduler.enqueue(self._connection_lost, (None,), None)

    def close(self) -> None:
        """Stop reading and close.  `connection_lost` is called with None."""
        self._close(None)

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on pipe transport") -> None:
        if isinstance(error, OSError) and error.errno == errno.EIO:
            # A terminal whose other end has closed.
            if self._scheduler._debug:
                asyncio_private.logger.debug("%r: %s", self, message, exc_info=error)
        else:
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
            )
        self._close(error)

    def _close(self, error: BaseException | None) -> None:
        if self._closing:
            return
        self._closing = True
        if self._scheduler._owner:
            self._pipe.close()
            return
        self._driver.remove_reader(self._fileno)
        self._scheduler.enqueue(self._connection_lost, (error,), None)

    def _connection_lost(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._pipe.close()
            self._pipe = None
            self._protocol = None
            self._loop = None


class WritePipeTransport(FlowControl):
    """The writing end of a pipe, as `asyncio.WriteTransport`: made by the loop, not by users.

    ``isinstance(transport, asyncio.WriteTransport)`` holds through ``__class__``.
    """

    def __init__(
        self, loop: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: dict[str, Any] | None = None
    ) -> None:
        self.publishes = False
        self._source_traceback = None
        self._fileno: int = pipe.fileno()
        mode = os.fstat(self._fileno).st_mode
        is_fifo, is_socket = stat.S_ISFIFO(mode), stat.S_ISSOCK(mode)
        if not (is_fifo or is_socket or stat.S_ISCHR(mode)):
            raise ValueError("Pipe transport is only for pipes, sockets and character devices")
        os.set_blocking(self._fileno, False)
        self._init_flow(loop)
        self._scheduler: Scheduler = loop
        self._driver = loop._driver
        self._pipe: Any = pipe
        self._extra: dict[str, Any] = {} if extra is None else dict(extra)
        self._extra["pipe"] = pipe
        # As with asyncio, copies of the context of whoever asked: for the reader's end, and for what is written later.
        self._context: Context = copy_context()
        self._write_context: Any = None
        self._protocol = protocol
        self._buffer: list[Any] = []
        self._writing = False
        # AIX tells the writer of a FIFO nothing.
        self._tells_of_reader = is_socket or (is_fifo and not sys.platform.startswith("aix"))
        self._conn_lost = 0
        self._closing = False
        self._lost = False
        self._scheduler.enqueue(protocol.connection_made, (self,), None)
        # Whether the reader has gone is not asked before connection_made() has been called.
        self._scheduler._queue.push(_Starter(self))
        if waiter is not None:
            self._scheduler.enqueue(asyncio_private.set_result_unless_cancelled, (waiter, None), None)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return asyncio_private.FlowControlledTransport

    def __repr__(self) -> str:
        return _repr(self, WRITE)

    def __del__(self) -> None:
        if self._pipe is not None and self._scheduler._owner:
            self._pipe.close()
        elif self._pipe is not None:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self)  # noqa: B028  # nobody called
            self._pipe.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``pipe``, or what the maker added; *default* if there is no such."""
        return self._extra.get(name, default)

    def get_protocol(self) -> Any:
        """The protocol that is told to pause, and of the end."""
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        """Tell *protocol* from now on."""
        self._protocol = protocol

    def is_closing(self) -> bool:
        """True once the transport is closing or closed."""
        return self._closing

    # asyncio's writing end is an `asyncio.Transport` without a reading half.

    def is_reading(self) -> bool:
        """Raises `NotImplementedError`: nothing is read here."""
        raise NotImplementedError("the writing end of a pipe does not read")

    def pause_reading(self) -> None:
        """Raises `NotImplementedError`: nothing is read here."""
        raise NotImplementedError("the writing end of a pipe does not read")

    def resume_reading(self) -> None:
        """Raises `NotImplementedError`: nothing is read here."""
        raise NotImplementedError("the writing end of a pipe does not read")

    # -- Writing

    def write(self, data: Any) -> None:
        """Write *data*: bytes, or a bytearray or memoryview, which may be changed again at once.  Never blocks.

        Raises `TypeError` for other types.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"data argument must be a bytes, bytearray, or memoryview object, not {type(data).__name__!r}"
            )
        if not data:
            return
        if self._scheduler._owner:
            self._scheduler._check_closed()
        if self._conn_lost or self._closing:
            if self._conn_lost >= asyncio_private.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                asyncio_private.logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")
            self._conn_lost += 1
            return
        if isinstance(data, memoryview) and not data.c_contiguous:
            data = bytes(data)
        taken = 0
        if not self._buffer:
            try:
                taken = write_file(self._fileno, data)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self._conn_lost += 1
                self._fatal_error(error, "Fatal write error on pipe transport")
                return
            if taken < 0:
                taken = 0
            self._scheduler.bytes_sent += taken
        piece = data if type(data) is bytes else bytes(data)
        if taken == len(piece):
            return
        self._buffer.append(memoryview(piece)[taken:] if taken else piece)
        self._buffered += len(piece) - taken
        if not self._writing:
            self._writing = True
            self._write_context = copy_context()
            self._driver.add_writer(self._fileno, _Writer(self))
        self._maybe_pause_protocol()

    def writelines(self, list_of_data: Any) -> None:
        """Write all of *list_of_data*, pieces as `write` takes them, in one call."""
        self.write(b"".join(list_of_data))

    def _write_buffered(self) -> None:
        buffer = self._buffer
        if not buffer:
            return
        try:
            count = write_file(self._fileno, buffer[0]) if len(buffer) == 1 else write_file_pieces(self._fileno, buffer)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._conn_lost += 1
            self._fatal_error(error, "Fatal write error on pipe transport")
            return
        if count < 0:
            return
        self._scheduler.bytes_sent += count
        self._buffered -= count
        self._take_out(count)
        if buffer:
            return
        self._stop_writing()
        self._maybe_resume_protocol()
        if self._closing and not self._lost and not buffer:
            self._lost = True
            self._driver.remove_reader(self._fileno)
            self._connection_lost(None)

    def _take_out(self, count: int) -> None:
        """Take the first *count* bytes out of the buffer."""
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

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._driver.remove_writer(self._fileno)

    # -- The end

    def _start_watching(self) -> None:
        if self._tells_of_reader and not self._closing:
            _watch(self, self._scheduler, self._driver, self._fileno)

    def run(self) -> None:
        """The reader has gone."""
        if self._lost:
            return
        if self._scheduler._debug:
            asyncio_private.logger.info("%r was closed by peer", self)
        call(self._close, (BrokenPipeError() if self._buffer else None,), self._context)

    def can_write_eof(self) -> bool:
        """True: the end of a pipe is told by closing it."""
        return True

    def write_eof(self) -> None:
        """Write what is buffered, then close, which tells the reader of the end."""
        if self._closing:
            return
        self._closing = True
        if self._scheduler._owner:
            self._pipe.close()
        elif not self._buffer:
            self._driver.remove_reader(self._fileno)
            self._lose_soon(None)

    def close(self) -> None:
        """Write what is buffered, then close.  `connection_lost` is called with None."""
        self.write_eof()

    def abort(self) -> None:
        """Close at once; what the pipe has not taken is lost.  `connection_lost` is called with None."""
        if self._scheduler._owner:
            self.close()
            return
        self._close(None)

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on pipe transport") -> None:
        if isinstance(error, OSError):
            if self._scheduler._debug:
                asyncio_private.logger.debug("%r: %s", self, message, exc_info=error)
        else:
            self._loop.call_exception_handler(
                {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
            )
        self._close(error)

    def _close(self, error: BaseException | None) -> None:
        if self._lost:
            return
        self._closing = True
        self._buffer.clear()
        self._buffered = 0
        self._stop_writing()
        self._driver.remove_reader(self._fileno)
        self._lose_soon(error)

    def _lose_soon(self, error: BaseException | None) -> None:
        self._lost = True
        self._scheduler.enqueue(self._connection_lost, (error,), None)

    def _connection_lost(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._pipe.close()
            self._pipe = None
            self._protocol = None
            self._loop = None


class _Starter(Runnable):
    """Has a `WritePipeTransport` ask whether its reader has gone."""

    __slots__ = ("_transport",)

    def __init__(self, transport: WritePipeTransport) -> None:
        self.publishes = False
        self._transport = transport

    def run(self) -> None:
        self._transport._start_watching()


class _Writer(Runnable):
    """Runs when the pipe can be written: the other half of a `WritePipeTransport`."""

    __slots__ = ("_transport",)

    def __init__(self, transport: WritePipeTransport) -> None:
        self.publishes = False
        self._transport = transport

    def run(self) -> None:
        transport = self._transport
        try:
            call(transport._write_buffered, (), transport._write_context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # The protocol's connection_lost() has failed.
            report(transport, transport._scheduler, error, transport._write_context)


def _watch(transport: Any, scheduler: Any, driver: Any, fd: int) -> None:
    try:
        driver.add_reader(fd, transport)
    except (OSError, ValueError) as error:
        # Not a descriptor that can be waited for.
        report(transport, scheduler, error, transport._context)


def _repr(transport: Any, interest: int) -> str:
    info = [type(transport).__name__]
    closed = transport._pipe is None
    if closed:
        info.append("closed")
    elif transport._closing:
        info.append("closing")
    info.append(f"fd={transport._fileno}")
    if closed:
        info.append("closed")
    elif transport._loop.is_closed():
        info.append("open")
    else:
        info.append("polling" if transport._loop._driver.interest(transport._fileno) & interest else "idle")
        if interest == WRITE:
            info.append(f"bufsize={transport.get_write_buffer_size()}")
    return f"<{' '.join(info)}>"


if not cython.compiled:
    # C attributes have a value from the start: what an `__init__` that fails leaves behind is looked at too.
    ReadPipeTransport._pipe = None
    WritePipeTransport._pipe = None
