"""Files sent by the kernel: `loop.sendfile` and `loop.sock_sendfile`.

asyncio's own methods check the arguments and fall back on reading and writing; what is here is the part between.  In
each turn a bounded piece of the file leaves, whatever the peer takes, so that a fast one keeps nobody waiting.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import socket
import stat
from asyncio import SendfileNotAvailableError
from typing import Any

#: The most that one call to the kernel sends, in bytes.
PIECE = 1024 * 1024


class SendFile:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""

    async def _sendfile_native(self: Any, transp: Any, file: Any, offset: int, count: int | None) -> int:
        written = transp._make_empty_waiter()
        resume_reading = transp.is_reading()
        transp.pause_reading()
        try:
            await written
            if transp._sock is None:
                raise ConnectionError("Connection is closed by peer")
            self._check_sendfile_params(transp._sock, file, offset, count)
            return await self._sock_sendfile_native(  # type: ignore[no-any-return]
                transp._sock, file, offset, count, transp
            )
        finally:
            transp._reset_empty_waiter()
            if resume_reading:
                transp.resume_reading()

    async def _sock_sendfile_native(
        self: Any, sock: socket.socket, file: Any, offset: int, count: int | None, transport: Any = None
    ) -> int:
        source = _source(file)
        sent = 0

        def send_piece() -> bool:
            nonlocal sent
            wanted = PIECE if not count else min(PIECE, count - sent)
            try:
                taken = os.sendfile(sock.fileno(), source, offset + sent, wanted)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                if sent == 0:
                    # Perhaps a file that cannot be mapped: reading and writing may do.
                    raise SendfileNotAvailableError("os.sendfile call failed") from error
                if error.errno == errno.ENOTCONN:
                    raise ConnectionError("socket is not connected", errno.ENOTCONN) from error
                raise
            sent += taken
            self.bytes_sent += taken
            if taken == 0 or sent == count:
                return True
            # The file may have grown; what is new is sent in the next turn, like any other piece.
            return not count and offset + sent >= os.fstat(source).st_size

        try:
            if not send_piece():
                if transport is None:
                    self._ensure_fd_no_transport(sock)
                await self._wait_to_write(sock, send_piece)
            return sent
        finally:
            # As after reading it.  The file may have been closed meanwhile.
            with contextlib.suppress(OSError):
                os.lseek(source, offset + sent, os.SEEK_SET)


def _source(file: Any) -> int:
    """The descriptor of *file*.  Raises `SendfileNotAvailableError` if it is no file on disk."""
    try:
        source = file.fileno()
        kind = os.fstat(source).st_mode
    except (AttributeError, io.UnsupportedOperation, OSError) as error:
        raise SendfileNotAvailableError("not a regular file") from error
    if not (stat.S_ISREG(kind) or stat.S_ISBLK(kind)):
        raise SendfileNotAvailableError("not a regular file")
    return int(source)
