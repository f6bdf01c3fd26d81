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

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, fd: int) -> bytes | None:
        """What can be read from *fd* now; empty at the end of the stream; None if there is nothing yet."""
        return self.receive(fd, self.size)

    def receive(self, fd: int, limit: int) -> bytes | None:
        """As `read`, but *limit* bytes at most."""
        try:
            return os.read(fd, min(limit, self.size))
        except (BlockingIOError, InterruptedError):
            return None

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


def accept(listener: socket.socket, fd: int) -> tuple[int, Any] | None:
    """Accept a connection on *listener*, whose descriptor is *fd*.

    Returns the new descriptor, which does not block and is not inherited, and the peer's address as
    `socket.socket.accept` gives it; None if nobody has connected.
    """
    try:
        accepted, address = listener._accept()  # type: ignore[attr-defined]  # what socket.accept() is built on
    except (BlockingIOError, InterruptedError):
        return None
    os.set_blocking(accepted, False)
    return accepted, address


def local_address(sock: socket.socket, fd: int) -> Any:
    """What *sock*, whose descriptor is *fd*, is bound to, as `socket.socket.getsockname` gives it."""
    return sock.getsockname()
