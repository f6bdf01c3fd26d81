"""Writes on the descriptors of pipes and character devices.  (They are read by `sockets.ReadBuffer.read_file`.)

"Would block" is an answer here, not an exception: -1.  Every other failure is the `OSError` that the kernel gave.
"""

from __future__ import annotations

import os
from typing import Any

#: How many pieces one gathered write takes.
MAX_PIECES = min(os.sysconf("SC_IOV_MAX"), 64)


def write_file(fd: int, data: Any) -> int:
    """Write *data*; returns how many bytes were taken, -1 if none can be now."""
    try:
        return os.write(fd, data)
    except (BlockingIOError, InterruptedError):
        return -1


def write_file_pieces(fd: int, pieces: list[Any]) -> int:
    """Write the first `MAX_PIECES` of *pieces* in one call; returns as `write_file` does."""
    try:
        return os.writev(fd, pieces[:MAX_PIECES])
    except (BlockingIOError, InterruptedError):
        return -1
