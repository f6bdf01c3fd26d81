"""Reads, writes and accepts on the descriptors of non-blocking sockets.

"Would block" is an answer here, not an exception: None from `read`, `receive` and `accept`, -1 from the others.  Every
other failure is the `OSError` that the kernel gave.  The compiled twin calls ``recv``, ``send``, ``sendmsg`` and
``accept4`` on the descriptor.
"""

from __future__ import annotations

import os
import socket
from typing import Any

#: How many pieces one gathered write takes.
MAX_PIECES = min(os.sysconf("SC_IOV_MAX"), 64)


class ReadBuffer:
    """Where a loop's sockets read into.

    One for all: `read` copies what came into a ``bytes`` of just its size, and nothing as large as the buffer is
    allocated for each read.
    """

    __slots__ = ("size", "view")

    def __init__(self, size: int) -> None:
        self.size = size
        #: All of it.
        self.view = memoryview(bytearray(size))

    def read(self, fd: int) -> bytes | None:
        """What can be read from *fd* now; empty at the end of the stream; None if there is nothing yet."""
        return self.receive(fd, self.size)

    def give_back(self, data: bytes) -> None:
        """Whoever called `read` has no use for *data* any more.

        The compiled twin makes the next object of about that size in the same memory, if nobody else holds this one.
        """

    def receive(self, fd: int, limit: int) -> bytes | None:
        """As `read`, but *limit* bytes at most."""
        try:
            return os.read(fd, min(limit, self.size))
        except (BlockingIOError, InterruptedError):
            return None

    def fill(self, fd: int) -> int:
        """Read from *fd* into the buffer itself; returns how many bytes, 0 at the end of the stream, -1 if there is
        nothing yet."""
        return receive_into(fd, self.view)

    def read_file(self, fd: int) -> bytes | None:
        """As `read`, from a descriptor that need not be a socket's."""
        return self.receive(fd, self.size)


def receive_into(fd: int, buffer: Any) -> int:
    """Read into *buffer*; returns how many bytes, 0 at the end of the stream, -1 if there is nothing yet."""
    try:
        return os.readv(fd, [buffer])
    except (BlockingIOError, InterruptedError):
        return -1


def send_piece(fd: int, data: Any) -> int:
    """Write *data*; returns how many bytes were taken, -1 if none can be now."""
    try:
        return os.write(fd, data)
    except (BlockingIOError, InterruptedError):
        return -1


def send_pieces(fd: int, pieces: list[Any]) -> int:
    """Write the first `MAX_PIECES` of *pieces* in one call; returns as `send_piece` does."""
    try:
        return os.writev(fd, pieces[:MAX_PIECES])
    except (BlockingIOError, InterruptedError):
        return -1


def accept(listener: socket.socket, fd: int, packed: bool = False) -> tuple[int, Any] | None:
    """Accept a connection on *listener*, whose descriptor is *fd*.

    Returns the new descriptor, which does not block and is not inherited, and the peer's address as
    `socket.socket.accept` gives it; None if nobody has connected.  *packed* allows for an address in a smaller form,
    out of which `address_from` makes the usual one.
    """
    try:
        accepted, address = listener._accept()  # type: ignore[attr-defined]  # what socket.accept() is built on
    except (BlockingIOError, InterruptedError):
        return None
    os.set_blocking(accepted, False)
    return accepted, address


def address_from(packed: Any) -> Any:
    """The address that `accept` has told in a smaller form; any other is returned as it is."""
    return packed


def close_descriptor(fd: int) -> None:
    """Close *fd*."""
    os.close(fd)


def local_address(sock: socket.socket | None, fd: int) -> Any:
    """What *sock*, whose descriptor is *fd*, is bound to, as `socket.socket.getsockname` gives it.

    *sock* may be None if the descriptor is one of IP or of a Unix socket.
    """
    if sock is not None:
        return sock.getsockname()
    borrowed = socket.socket(fileno=fd)
    try:
        return borrowed.getsockname()
    finally:
        borrowed.detach()


def set_nodelay(fd: int) -> None:
    """Have the TCP socket behind the descriptor *fd* send at once what it is given."""
    borrowed = socket.socket(fileno=fd)
    try:
        borrowed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    finally:
        borrowed.detach()
