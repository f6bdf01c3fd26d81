"""Accepting connections, and what to do when the process has no descriptor left for them.

A readable listener is accepted from until nobody is left, or as often as is fair to everybody else: the others wait in
the kernel's queue for the next turn.  A connection is made in place: its protocol's factory is called in a context of
its own, and its transport is made, with no task in between.  (A TLS connection has a task for its handshake, as in
asyncio.)

asyncio's own accept loop goes on after ``EMFILE`` and reports it once for every connection of the backlog; this one
reports once, stops listening, and tries again in a second.
"""

from __future__ import annotations

import _socket
import errno
import socket
from typing import Any

from hocket.core import asyncio_private

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.sockets import accept
    from hocket.native.step import call, copy_context

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# The numbers themselves: the attributes look for the name of each, which takes longer than the accepting.
_family: Any = _socket.socket.family.__get__
_type: Any = _socket.socket.type.__get__
#: Tells the socket module what the kernel knows already.
_DOES_NOT_BLOCK = int(socket.SOCK_NONBLOCK)

#: So many connections of one listener are accepted in one turn.
BATCH = 64


def accept_from(sock: socket.socket) -> tuple[socket.socket, Any] | None:
    """Accept one connection: its socket, which does not block, and the peer's address.

    Returns None, or raises `BlockingIOError`, if nobody has connected.
    """
    if type(sock) is not socket.socket or sock.gettimeout() != 0:
        # One that may wait does so; asyncio refuses it in debug mode alone.
        connection, address = sock.accept()
        connection.setblocking(False)
        return connection, address
    accepted = accept(sock, sock.fileno())
    if accepted is None:
        return None
    fd, address = accepted
    return socket.socket(_family(sock), _type(sock) | _DOES_NOT_BLOCK, sock.proto, fd), address


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
        for _ in range(min(max(backlog, 0) + 1, BATCH)):
            try:
                accepted = accept_from(sock)
            except ConnectionAbortedError:
                continue
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_RESOURCES:
                    raise
                self._pause_accepting(error, protocol_factory, sock, sslcontext, server, backlog, *timeouts)
                return
            if accepted is None:
                return
            connection, address = accepted
            if self._debug:
                asyncio_private.logger.debug("%r got a new connection from %r: %r", server, address, connection)
            extra = {"peername": address}
            if sslcontext:
                self.create_task(
                    self._accept_connection2(protocol_factory, connection, extra, sslcontext, server, *timeouts)
                )
            else:
                call(self._connect_accepted, (protocol_factory, connection, extra, server), copy_context())
                if sock.fileno() == -1:
                    # The factory has closed the server.
                    return

    def _connect_accepted(
        self: Any, protocol_factory: Any, connection: socket.socket, extra: dict[str, Any], server: Any
    ) -> None:
        """Make the protocol and the transport of an accepted *connection*."""
        protocol = None
        try:
            protocol = protocol_factory()
            self._make_socket_transport(connection, protocol, extra=extra, server=server)
        except (SystemExit, KeyboardInterrupt):
            connection.close()
            raise
        except BaseException as error:
            connection.close()
            if self._debug:
                context = {"message": "Error on transport creation for incoming connection", "exception": error}
                if protocol is not None:
                    context["protocol"] = protocol
                self.call_exception_handler(context)

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
