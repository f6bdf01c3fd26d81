"""What ``loop.sock_recv()`` and ``loop.sock_sendall()`` await: operations, which cost less than coroutines.

Each tries at once when it is awaited, and waits only if the socket would block.
"""

from __future__ import annotations

from typing import Any

from hocket.core.driver import Driver
from hocket.core.future import Future
from hocket.core.scheduler import Scheduler
from hocket.native.operation import Operation
from hocket.native.sockets import ReadBuffer
from hocket.net.readiness import OnceReader, Readiness

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.sockets import send_piece
    from hocket.net.readiness import once_reader


def receive(loop: Any, read_buffer: ReadBuffer, sock: Any, most: int) -> Any:
    """``await`` gives up to *most* bytes from *sock*, a plain `socket.socket`."""
    operation = Receive.__new__(Receive)
    operation._loop = loop
    operation._read_buffer = read_buffer
    operation._sock = sock
    operation._most = most
    operation._reader = None
    return operation


def send_all(loop: Any, sock: Any, data: Any) -> Any:
    """``await`` sends all of *data* on *sock*, a plain `socket.socket`."""
    operation = SendAll.__new__(SendAll)
    operation._loop = loop
    operation._sock = sock
    operation._data = data
    operation._wait = None
    return operation


def _check(loop: Any, sock: Any) -> None:
    scheduler: Scheduler = loop
    if scheduler._debug and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


class Receive(Operation):
    """`receive`."""

    __slots__ = ("_most", "_read_buffer", "_reader", "_sock")

    _read_buffer: ReadBuffer
    _sock: Any
    _most: int
    _reader: OnceReader | None

    _name = "sock_recv"

    def _begin(self) -> Any:
        _check(self._loop, self._sock)
        return self._attempt()

    def _attempt(self) -> Any:
        fd = self._sock.fileno()
        data = self._read_buffer.receive(fd, self._most)
        scheduler: Scheduler = self._loop
        if data is not None:
            scheduler.bytes_received += len(data)
            self._result = data
            return None
        driver: Driver = scheduler._driver
        reader = once_reader(self._loop, driver, fd)
        future = Future.__new__(Future)
        future._init_future(self._loop)
        reader._future = future
        self._reader = reader
        return future

    def _resume(self) -> Any:
        self._stop()
        return self._attempt()

    def _interrupt(self, error: BaseException) -> Any:
        self._stop()
        raise error

    def _stop(self) -> None:
        reader = self._reader
        self._reader = None
        if reader is not None:
            reader.over(self._future)


class SendAll(Operation):
    """`send_all`."""

    __slots__ = ("_data", "_sock", "_wait")

    _sock: Any
    _data: Any
    _wait: Readiness | None

    _name = "sock_sendall"

    def _begin(self) -> Any:
        sock = self._sock
        data = self._data
        _check(self._loop, sock)
        sent = send_piece(sock.fileno(), data)
        scheduler: Scheduler = self._loop
        if sent > 0:
            scheduler.bytes_sent += sent
        if type(data) is bytes and sent == len(data):
            return None
        rest = memoryview(data).cast("B")[max(sent, 0) :]
        if not rest:
            return None
        self._data = rest
        self._loop._ensure_fd_no_transport(sock.fileno())
        wait = Readiness(self._loop, sock.fileno(), True, self._send_more)
        self._wait = wait
        return wait.future

    def _send_more(self) -> bool:
        sent = send_piece(self._sock.fileno(), self._data)
        if sent > 0:
            scheduler: Scheduler = self._loop
            scheduler.bytes_sent += sent
            self._data = self._data[sent:]
        return not self._data

    def _resume(self) -> Any:
        self._stop()
        return None

    def _interrupt(self, error: BaseException) -> Any:
        self._stop()
        raise error

    def _stop(self) -> None:
        wait = self._wait
        self._wait = None
        if wait is not None:
            wait.stop()
