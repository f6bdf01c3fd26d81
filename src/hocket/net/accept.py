"""Accepting connections, and what to do when the process has no descriptor left for them.

A readable listener is accepted from as often as is fair to everybody else: the others wait in the kernel's queue for
the next turn.  A connection is made in place: its protocol's factory is called in a context of
its own, and its transport is made, with no task in between.  (A TLS connection has a task for its handshake, as in
asyncio.)

asyncio's own accept loop goes on after ``EMFILE`` and reports it once for every connection of the backlog; this one
reports once, stops listening, and tries again in a second.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket
import struct
import sys
from typing import Any

from hocket.core import asyncio_private

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.sockets import accept
    from hocket.native.step import call, copy_context
    from hocket.net.stream import accepted_transport

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# The numbers themselves: the attributes look for the name of each, which takes longer than the accepting.
_family: Any = _socket.socket.family.__get__
_type: Any = _socket.socket.type.__get__
#: Tells the socket module what the kernel knows already.
_DOES_NOT_BLOCK = int(socket.SOCK_NONBLOCK)

_kinds: dict[tuple[int, int, int], tuple[int, int, int]] = {}
#: Whose addresses are known from the descriptor alone.
_PLAIN_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)

#: So many connections of one listener are accepted in one turn, at most.
BATCH = 64
#: Before a listener is closed, those who have come are accepted; those who keep coming must end somewhere.
_ROUNDS = 10_000


def accept_from(sock: socket.socket) -> tuple[socket.socket, Any] | None:
    """Accept one connection: its socket, which does not block, and the peer's address.

    Returns None, or raises `BlockingIOError`, if nobody has connected.
    """
    if not _never_waits(sock):
        # One that may wait does so; asyncio refuses it in debug mode alone.
        connection, address = sock.accept()
        connection.setblocking(False)
        return connection, address
    accepted = accept(sock, sock.fileno())
    if accepted is None:
        return None
    fd, address = accepted
    return socket.socket(*_kind_of(sock), fd), address


def _never_waits(sock: socket.socket) -> bool:
    return type(sock) is socket.socket and sock.gettimeout() == 0


def _kind_of(sock: socket.socket) -> tuple[int, int, int]:
    """The family, type and protocol of what *sock* accepts; the same object for each of a kind."""
    kind = (_family(sock), _type(sock) | _DOES_NOT_BLOCK, sock.proto)
    return _kinds.setdefault(kind, kind)


#: A filter for a listener: without the ACK of later ones, a packet with SYN is the first of a connection.
_DROP_SYN = (
    (0x30, 0, 0, 13),  # the byte of flags in the header of TCP
    (0x45, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0x40000),
)
_SO_ATTACH_FILTER = 26


def _drop_syn(sock: socket.socket) -> bool:
    """Have the kernel drop the first packet of each new connection to *sock*; False if it does not know how."""
    if sys.platform != "linux":
        return False
    import ctypes  # seldom needed

    instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_SYN)
    buffer = ctypes.create_string_buffer(instructions)
    try:
        program = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(buffer))
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True


class Acceptor:
    """The part of an event loop that accepts; to be combined with `asyncio.SelectorEventLoop`, in front of it."""

    def __init__(self) -> None:
        # By listener: the turn in which it accepted last, and how many it was allowed.
        self._accepting: dict[int, tuple[int, int]] = {}
        # By listener: with what it is accepted from.
        self._listening: dict[int, tuple[Any, ...]] = {}

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
        how = (protocol_factory, sock, sslcontext, server, backlog, ssl_handshake_timeout, ssl_shutdown_timeout)
        self._listening[sock.fileno()] = how
        self._add_reader(sock.fileno(), self._accept_connection, *how)

    def _stop_serving(self: Any, sock: socket.socket) -> None:
        self._listening.pop(sock.fileno(), None)
        super()._stop_serving(sock)  # type: ignore[misc]

    def turn_newcomers_away(self: Any) -> int:
        """Have the kernel drop whoever begins to connect to a server of this loop; returns of how many listeners it
        does.

        To close a listening socket resets everybody who is in the middle of connecting, or has connected and was not
        accepted yet.  After this nobody comes any more, and those who are on their way can be accepted for a moment,
        before `stop_accepting`.  To who is turned away the service is not there: he tries again a second later.  For
        TCP on Linux; elsewhere it does nothing.
        """
        turned = 0
        for fd, (_, sock, *_) in self._listening.items():
            if sock.fileno() == fd and sock.family in (socket.AF_INET, socket.AF_INET6):
                turned += _drop_syn(sock)
        return turned

    def stop_accepting(self: Any) -> int:
        """Close every server of this loop; returns how many listening sockets that were.

        Who has connected by then, and waits in the kernel to be accepted, is accepted first: to close a listening
        socket resets them, with the requests that they may have sent.  Connections stay as they are.
        """
        closed = 0
        for fd, how in list(self._listening.items()):
            _, sock, _, server, *_ = how
            if sock.fileno() != fd:
                del self._listening[fd]  # Closed by who made it.
                continue
            for _ in range(_ROUNDS):
                before = self.connections_accepted
                self._accept_connection(*how)
                if self.connections_accepted == before or sock.fileno() != fd:
                    break
            closed += 1
            if server is None:
                self._stop_serving(sock)
            else:
                server.close()
        return closed

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
        # Without a `socket.socket` for each, unless somebody has a use for it.
        kind = None
        if not sslcontext and not self._debug and _never_waits(sock) and self._makes_own_transports():
            kind = _kind_of(sock)
            if kind[0] not in _PLAIN_FAMILIES:
                kind = None
        listening = sock.fileno()
        for _ in range(min(max(backlog, 0) + 1, self._batch_for(listening))):
            try:
                accepted = accept_from(sock) if kind is None else accept(sock, listening, True)
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
            self.connections_accepted += 1
            if self._debug:
                asyncio_private.logger.debug("%r got a new connection from %r: %r", server, address, connection)
            if sslcontext:
                extra = {"peername": address}
                self.create_task(
                    self._accept_connection2(protocol_factory, connection, extra, sslcontext, server, *timeouts)
                )
            else:
                call(self._connect_accepted, (protocol_factory, connection, address, server, kind), copy_context())
                if sock.fileno() == -1:
                    # The factory has closed the server.
                    return

    def _batch_for(self: Any, listening: int) -> int:
        """How many connections the listener *listening* may accept in this turn.

        To ask for one more than there is costs as much as accepting it.  So it begins with one, and doubles while
        others still wait in the turn that follows.
        """
        turn = self.turns
        last, batch = self._accepting.get(listening, (0, 0))
        batch = min(2 * batch, BATCH) if last == turn - 1 else 1
        self._accepting[listening] = (turn, batch)
        return batch

    def _makes_own_transports(self: Any) -> bool:
        cls = type(self)
        return (
            cls._make_socket_transport is cls._own_make_socket_transport
            and "_make_socket_transport" not in self.__dict__
        )

    def _connect_accepted(
        self: Any, protocol_factory: Any, connection: Any, address: Any, server: Any, kind: Any
    ) -> None:
        """Make the protocol and the transport of an accepted *connection*: a socket, or a descriptor of this *kind*."""
        protocol = None
        try:
            protocol = protocol_factory()
            if kind is None:
                self._make_socket_transport(connection, protocol, extra={"peername": address}, server=server)
            else:
                self._transports.check(connection)
                accepted_transport(self, connection, kind, protocol, address, server)
        except BaseException as error:
            if kind is None:
                connection.close()
            else:
                os.close(connection)
            if isinstance(error, (SystemExit, KeyboardInterrupt)):
                raise
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
