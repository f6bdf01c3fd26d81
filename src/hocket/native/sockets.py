"""Reads and writes on non-blocking descriptors.

"Would block" is an answer here, not an exception: None from `read`, -1 from the others.  Every other failure is the
`OSError` that the kernel gave.  The compiled twin calls ``recv``, ``send`` and ``sendmsg`` on the descriptor.
"""

from __future__ import annotations

import os
from typing import Any

#: How many pieces one gathered write takes.
MAX_PIECES = min(os.sysconf("SC_IOV_MAX"), 64)


class ReadBuffer:
    """Where a loop's sockets read into.

    One for all: `read` copies what came into a ``bytes`` of just its size, and nothing as large as the buffer is
    allocated for each read.
    """

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        self._size = size

    def read(self, fd: int) -> bytes | None:
        """What can be read from *fd* now; empty at the end of the stream; None if there is nothing yet."""
        try:
            return os.read(fd, self._size)
        except (BlockingIOError, InterruptedError):
            return None


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
