"""Accepting connections, and what to do when the process has no descriptor left for them.

asyncio's own accept loop goes on after ``EMFILE`` and reports it once for every connection of the backlog; this one
reports once, stops listening, and tries again in a second.  The clients wait in the kernel's queue meanwhile.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from hocket.core import asyncio_private

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """The part of an event loop that accepts; to be combined with `asyncio.SelectorEventLoop`, in front of it."""

    def _start_serving(
        self: Any,
        protocol_factory: Any,
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = asyncio_private.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = asyncio_private.SSL_SHUTDOWN_TIMEOUT,
    ) -> None:
        if sock.fileno() == -1:
            # Closed while it waited for descriptors.
            return
        self._add_reader(
            sock.fileno(),
            self._accept_connection,
            protocol_factory,
            sock,
            sslcontext,
            server,
            backlog,
            ssl_handshake_timeout,
            ssl_shutdown_timeout,
        )

    def _accept_connection(
        self: Any,
        protocol_factory: Any,
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = asyncio_private.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = asyncio_private.SSL_SHUTDOWN_TIMEOUT,
    ) -> None:
        timeouts = (ssl_handshake_timeout, ssl_shutdown_timeout)
        for _ in range(max(backlog, 1)):
            try:
                connection, address = sock.accept()
                if self._debug:
                    asyncio_private.logger.debug("%r got a new connection from %r: %r", server, address, connection)
                connection.setblocking(False)
            except ConnectionAbortedError:
                continue
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_RESOURCES:
                    raise
                self._pause_accepting(error, protocol_factory, sock, sslcontext, server, backlog, *timeouts)
                return
            extra = {"peername": address}
            self.create_task(
                self._accept_connection2(protocol_factory, connection, extra, sslcontext, server, *timeouts)
            )

    def _pause_accepting(self: Any, error: OSError, protocol_factory: Any, sock: socket.socket, *rest: Any) -> None:
        self.call_exception_handler(
            {
                "message": "socket.accept() out of system resource",
                "exception": error,
                "socket": asyncio_private.TransportSocket(sock),
            }
        )
        self._remove_reader(sock.fileno())
        self.call_later(asyncio_private.ACCEPT_RETRY_DELAY, self._start_serving, protocol_factory, sock, *rest)
