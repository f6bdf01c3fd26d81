"""The `sock_*` methods of the loop: awaitable calls on a socket that the caller owns.

Each tries at once, and waits only if the socket says that it would block.  What a call would take from the socket
(bytes, a datagram, a connection) is taken by the waiting task itself, when it runs: a task that is cancelled before
that has taken nothing, and the next call gets it.  asyncio takes it earlier, and drops it with the cancelled call.

The rules are asyncio's: non-blocking sockets only (checked in debug mode), none of TLS, none that a transport uses; one
reader and one writer a socket: a second one takes the first one's place, which then waits for ever.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

from hocket.core import asyncio_private
from hocket.native.sockets import receive_into
from hocket.net.accept import accept_from
from hocket.net.readiness import Readiness
from hocket.net.socket_operations import receive, send_all

#: A Unix listener whose queue is full cannot be waited for: it is tried again, after these many seconds.
_FIRST_RETRY = 0.001
_LONGEST_RETRY = 0.05


class SocketCalls:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""

    async def sock_recv(self: Any, sock: socket.socket, n: int) -> bytes:
        """Receive up to *n* bytes; none at the end of the stream.  As `asyncio.loop.sock_recv`.

        Raises the socket's `OSError`; `ValueError` for a blocking socket in debug mode, `TypeError` for one of TLS, and
        `RuntimeError` for one that a transport uses.  A cancelled call has received nothing::

            data = await loop.sock_recv(sock, 4096)
        """
        if type(sock) is socket.socket and type(n) is int and 0 < n <= self._read_buffer.size:
            return await receive(self, self._read_buffer, sock, n)  # type: ignore[no-any-return]
        self._check_socket(sock)
        data = await self._when_readable(sock, lambda: sock.recv(n))
        self.bytes_received += len(data)
        return data  # type: ignore[no-any-return]

    async def sock_recv_into(self: Any, sock: socket.socket, buf: Any) -> int:
        """Receive into the writable buffer *buf*; returns how many bytes.  As `sock_recv` otherwise."""
        self._check_socket(sock)
        if type(sock) is socket.socket:
            while (count := receive_into(sock.fileno(), buf)) < 0:
                await self._ready_to_read(sock)
        else:
            count = await self._when_readable(sock, lambda: sock.recv_into(buf))
        self.bytes_received += count
        return count

    async def sock_recvfrom(self: Any, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
        """Receive one datagram of up to *bufsize* bytes; returns it and who sent it.  As `sock_recv` otherwise."""
        self._check_socket(sock)
        received = await self._when_readable(sock, lambda: sock.recvfrom(bufsize))
        self.bytes_received += len(received[0])
        return received  # type: ignore[no-any-return]

    async def sock_recvfrom_into(self: Any, sock: socket.socket, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
        """Receive one datagram of up to *nbytes* bytes (0: as many as fit) into *buf*; returns how many, and who
        sent it.  As `sock_recv` otherwise."""
        self._check_socket(sock)
        size = nbytes or len(buf)
        received = await self._when_readable(sock, lambda: sock.recvfrom_into(buf, size))
        self.bytes_received += received[0]
        return received  # type: ignore[no-any-return]

    async def sock_sendall(self: Any, sock: socket.socket, data: Any) -> None:
        """Send all of *data*.  As `asyncio.loop.sock_sendall`; raises as `sock_recv`.

        How much has left is not known of a call that failed or was cancelled.
        """
        if type(sock) is socket.socket:
            await send_all(self, sock, data)
            return
        self._check_socket(sock)
        try:
            sent = sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        self.bytes_sent += sent
        rest = memoryview(data).cast("B")[sent:]
        if not rest:
            return

        def send_more() -> bool:
            nonlocal rest
            try:
                sent = sock.send(rest)
            except (BlockingIOError, InterruptedError):
                return False
            self.bytes_sent += sent
            rest = rest[sent:]
            return not rest

        await self._ready_to_write(sock, send_more)

    async def sock_sendto(self: Any, sock: socket.socket, data: Any, address: Any) -> int:
        """Send one datagram to *address*; returns how many bytes.  As `asyncio.loop.sock_sendto`; raises as
        `sock_recv`.  A cancelled call has sent nothing."""
        self._check_socket(sock)
        while True:
            try:
                sent = sock.sendto(data, address)
            except (BlockingIOError, InterruptedError):
                sent = None
            if sent is not None:
                self.bytes_sent += sent
                return sent
            await self._ready_to_write(sock)

    async def sock_connect(self: Any, sock: socket.socket, address: Any) -> None:
        """Connect to *address*; names are resolved.  As `asyncio.loop.sock_connect`; raises as `sock_recv`.

        A socket whose connecting was cancelled is of no use any more: close it.
        """
        self._check_socket(sock)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            resolved = await self._ensure_resolved(
                address, family=sock.family, type=sock.type, proto=sock.proto, loop=self
            )
            address = resolved[0][4]
        retry = _FIRST_RETRY
        while True:
            try:
                sock.connect(address)
                return
            except InterruptedError:
                # The kernel goes on connecting.
                break
            except BlockingIOError as error:
                if error.errno != errno.EAGAIN or sock.family != socket.AF_UNIX:
                    break
            await asyncio.sleep(retry)
            retry = min(2 * retry, _LONGEST_RETRY)
        await self._ready_to_write(sock)
        error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error_number != 0:
            raise OSError(error_number, f"Connect call failed {address}")

    async def sock_accept(self: Any, sock: socket.socket) -> tuple[socket.socket, Any]:
        """Accept a connection; returns its socket, which does not block, and the peer's address.

        As `asyncio.loop.sock_accept`; raises as `sock_recv`.  A cancelled call has accepted nothing.
        """
        self._check_socket(sock)
        while True:
            try:
                accepted = accept_from(sock)
            except (BlockingIOError, InterruptedError):
                accepted = None
            if accepted is not None:
                return accepted
            await self._ready_to_read(sock)

    # -- Waiting

    def _check_socket(self: Any, sock: socket.socket) -> None:
        asyncio_private.check_ssl_socket(sock)
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")

    async def _when_readable(self: Any, sock: socket.socket, receive: Callable[[], Any]) -> Any:
        """What *receive* returns as soon as it does not block."""
        while True:
            try:
                return receive()
            except (BlockingIOError, InterruptedError):
                pass
            await self._ready_to_read(sock)

    async def _ready_to_read(self: Any, sock: socket.socket) -> None:
        fd = sock.fileno()
        self._ensure_fd_no_transport(fd)
        wait = Readiness(self, fd, False)
        try:
            await wait.future
        finally:
            wait.stop()

    async def _ready_to_write(self: Any, sock: socket.socket, attempt: Callable[[], bool] | None = None) -> None:
        """Until *sock* can be written; with *attempt*, until that has returned True."""
        self._ensure_fd_no_transport(sock.fileno())
        await self._wait_to_write(sock, attempt)

    async def _wait_to_write(self: Any, sock: socket.socket, attempt: Callable[[], bool] | None) -> None:
        wait = Readiness(self, sock.fileno(), True, attempt)
        try:
            await wait.future
        finally:
            wait.stop()
