"""OpenSSL between two buffers in memory: what arrives goes into one, what is to be sent comes out of the other.

"The peer has to say something first" is an answer here, not an exception; every other failure is the `ssl.SSLError`
that OpenSSL gave.  Nothing here knows of sockets, loops or protocols.

The handshake and the goodbye are the `ssl` module's.  Data goes by `hocket.native.openssl` where that can be, and
through `ssl` as well elsewhere: both work on the same session and the same buffers.
"""

from __future__ import annotations

import ssl
from typing import Any

from hocket.native import openssl
from hocket.native.openssl import Records
from hocket.native.sockets import ReadBuffer

#: OpenSSL needs more from the peer.
_AGAIN = (ssl.SSLWantReadError, ssl.SSLSyscallError)


class TlsSession:
    """One side of a TLS session.  *object* is the `ssl.SSLObject` that users see."""

    __slots__ = ("_incoming", "_outgoing", "_records", "_session", "at_end", "error", "object")

    def __init__(self, context: ssl.SSLContext, server_side: bool, server_hostname: str | None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        # Through the context's public method, so that a subclass can hand in a session to be resumed.
        self.object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._session: Any = self.object
        self._records: Records | None = openssl.attach(self.object)
        # What `decrypt` came to: what went wrong, and whether the peer has said that no more will come.
        self.error: Exception | None = None
        self.at_end = False

    def engine(self) -> str:
        """Which way data goes: ``openssl`` or ``ssl``."""
        return "ssl" if self._records is None else "openssl"

    # -- The encrypted side

    def feed(self, data: Any, size: int) -> None:
        """Take the first *size* bytes of *data*, from the peer."""
        if self._records is not None:
            self._records.feed(data, size)
        else:
            self._incoming.write(memoryview(data)[:size])

    def lend(self, buffer: ReadBuffer, size: int) -> None:
        """As `feed`, maybe without a copy: `decrypt_all` has to be called before anything else may use *buffer*."""
        if self._records is not None:
            self._records.lend(buffer, size)
        else:
            self.feed(buffer.view, size)

    def fed(self) -> int:
        """How many bytes have been fed that nobody needed yet."""
        return self._incoming.pending if self._records is None else self._records.fed()

    def take(self) -> bytes:
        """All that is to be sent to the peer."""
        return self._outgoing.read() if self._records is None else self._records.take()

    def outgoing(self) -> int:
        """How many bytes `take` would return."""
        return self._outgoing.pending if self._records is None else self._records.outgoing()

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
        if self._records is not None:
            return self._records.has_pending()
        return self._incoming.pending > 0 or self._session.pending() > 0

    def decrypt(self, buffer: Any) -> int:
        """Fill *buffer* with what there is; returns how many bytes.  ``error`` is what went wrong after them, and
        ``at_end`` tells whether the peer has said that no more will come."""
        filled = 0
        records = self._records
        if records is not None:
            filled = records.decrypt(buffer)
            self.error = records.error
            self.at_end = records.at_end
            return filled
        return self._decrypt(buffer)

    def decrypt_all(self, most: int) -> bytes:
        """What there is, up to about *most* bytes; the rest as `decrypt`."""
        records = self._records
        if records is not None:
            data = records.decrypt_all(most)
            self.error = records.error
            self.at_end = records.at_end
            return data
        size = min(most, self._incoming.pending + self._session.pending())
        buffer = bytearray(size)
        filled = self._decrypt(buffer)
        return bytes(memoryview(buffer)[:filled])

    def _decrypt(self, buffer: Any) -> int:
        filled = 0
        self.error = None
        self.at_end = False
        size = len(buffer)
        session = self._session
        try:
            # Asking for what is not there would cost an exception.
            while filled < size and self.has_pending():
                count = session.read(size - filled, memoryview(buffer)[filled:] if filled else buffer)
                if not count:
                    self.at_end = True
                    break
                filled += count
        except ssl.SSLZeroReturnError:
            self.at_end = True
        except _AGAIN:
            pass
        except ssl.SSLError as error:
            self.error = error
        return filled

    def encrypt(self, data: bytes | bytearray | memoryview) -> int:
        """Take *data* to be sent.  How many bytes of it: not all, if the peer has to say something first."""
        taken = 0
        records = self._records
        if records is not None:
            taken = records.encrypt(data)
            if records.error is not None:
                raise records.error
            return taken
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
