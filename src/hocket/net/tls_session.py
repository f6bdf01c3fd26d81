"""OpenSSL between two buffers in memory: what arrives goes into one, what is to be sent comes out of the other.

"The peer has to say something first" is an answer here, not an exception; every other failure is the `ssl.SSLError`
that OpenSSL gave.  Nothing here knows of sockets, loops or protocols.
"""

from __future__ import annotations

import ssl
from typing import Any

#: OpenSSL needs more from the peer.
_AGAIN = (ssl.SSLWantReadError, ssl.SSLSyscallError)


class TlsSession:
    """One side of a TLS session.  *object* is the `ssl.SSLObject` that users see."""

    __slots__ = ("_incoming", "_outgoing", "_session", "object")

    def __init__(self, context: ssl.SSLContext, server_side: bool, server_hostname: str | None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        # Through the context's public method, so that a subclass can hand in a session to be resumed.
        self.object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._session: Any = self.object

    # -- The encrypted side

    def feed(self, data: Any) -> None:
        """Take *data* that came from the peer."""
        self._incoming.write(data)

    def fed(self) -> int:
        """How many bytes have been fed that nobody needed yet."""
        return self._incoming.pending

    def take(self) -> bytes:
        """All that is to be sent to the peer."""
        return self._outgoing.read()

    def outgoing(self) -> int:
        """How many bytes `take` would return."""
        return self._outgoing.pending

    # -- The plain side

    def handshake(self) -> bool:
        """Go on with the handshake as far as possible.  True if it is complete."""
        try:
            self._session.do_handshake()
        except _AGAIN:
            return False
        return True

    def has_pending(self) -> bool:
        """Whether there may be something to decrypt."""
        return self._incoming.pending > 0 or self._session.pending() > 0

    def decrypt(self, buffer: Any) -> tuple[int, Exception | None, bool]:
        """Fill *buffer* with what there is.  How many bytes, what went wrong after them, and whether the peer has said
        that no more will come."""
        filled = 0
        size = len(buffer)
        session = self._session
        try:
            # Asking for what is not there would cost an exception.
            while filled < size and self.has_pending():
                count = session.read(size - filled, memoryview(buffer)[filled:] if filled else buffer)
                if not count:
                    return filled, None, True
                filled += count
        except ssl.SSLZeroReturnError:
            return filled, None, True
        except _AGAIN:
            pass
        except ssl.SSLError as error:
            return filled, error, False
        return filled, None, False

    def encrypt(self, data: bytes | bytearray | memoryview) -> int:
        """Take *data* to be sent.  How many bytes of it: not all, if the peer has to say something first."""
        taken = 0
        size = len(data)
        try:
            taken = self._session.write(data)
            if taken < size:
                # One record at a time, 16 KiB.
                view = memoryview(data)
                while taken < size:
                    taken += self._session.write(view[taken:])
        except _AGAIN:
            pass
        return taken

    def goodbye(self) -> bool:
        """Say that no more will be sent, once.  True if the peer has said so too."""
        try:
            self._session.unwrap()
        except _AGAIN:
            return False
        return True
