"""Receiving and sending datagrams.

"Would block" is an answer here, not an exception: an empty list from `DatagramBuffer.receive`, False from the others.
The compiled twin takes many datagrams out of the kernel with one ``recvmmsg`` and makes addresses itself; what it does
not know (another address family, a socket of another class) goes through the socket's own methods, as all does here.
"""

from __future__ import annotations

import socket
from typing import Any

#: The most datagrams that one call of `DatagramBuffer.receive` returns.
BATCH = 16
#: The most bytes of one datagram: no IP datagram is larger, and by default no Unix datagram either.
_LARGEST = 256 * 1024

_FAMILIES = tuple(int(getattr(socket, name)) for name in ("AF_INET", "AF_INET6", "AF_UNIX") if hasattr(socket, name))


def known_family(sock: Any) -> int:
    """The address family of an ordinary socket of IP or Unix; 0 for any other, which is to be used by its methods."""
    family = int(sock.family) if type(sock) is socket.socket else 0
    return family if family in _FAMILIES else 0


class DatagramBuffer:
    """Where a loop's datagram sockets receive: one for all of them, of which only what is used occupies memory."""

    __slots__ = ()

    def receive(self, sock: Any, fd: int, family: int) -> list[Any]:
        """What *sock* has received, the oldest first: pairs of data and address as `socket.socket.recvfrom` gives them.

        An `OSError` instead of a pair is the kernel's report about something sent.  *family* is what `known_family`
        said.  Anything else that fails is raised.
        """
        received: list[Any] = []
        for _ in range(BATCH if family else 1):
            try:
                received.append(sock.recvfrom(_LARGEST))
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                received.append(error)
                break
        return received


def send_datagram(sock: Any, fd: int, family: int, data: Any) -> bool:
    """Send *data* to the peer that *sock* is connected to.  False: it takes nothing now."""
    try:
        sock.send(data)
    except (BlockingIOError, InterruptedError):
        return False
    return True


def send_datagram_to(sock: Any, fd: int, family: int, data: Any, address: Any) -> bool:
    """Send *data* to *address*, given as to `socket.socket.sendto`.  False: the socket takes nothing now."""
    try:
        sock.sendto(data, address)
    except (BlockingIOError, InterruptedError):
        return False
    return True
