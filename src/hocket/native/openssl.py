"""OpenSSL without the `ssl` module in between, for the bytes of a session whose handshake `ssl` has done.

`ssl` makes contexts and sessions, shakes hands and says goodbye; only reading and writing of data, which it does by way
of four calls, four locks and an exception or two for each message, is done on the same session directly.  There is no
OpenSSL of hocket's own: the functions are those of the library that the interpreter has loaded.

That needs to know where the interpreter keeps the session, which `ssl` does not tell.  `describe` says whether it was
found; where it was not, where ``HOCKET_NO_OPENSSL`` is set in the environment, and uncompiled, `attach` returns None
and everything goes through `ssl`.
"""

from __future__ import annotations

import ssl
from typing import Any

from hocket.native.sockets import ReadBuffer


class Records:
    """The data of one session: what comes is fed and decrypted, what goes is encrypted and taken."""

    error: Exception | None
    at_end: bool

    def feed(self, data: Any, size: int) -> None:
        """Take the first *size* bytes of *data*, from the peer."""
        raise NotImplementedError

    def lend(self, buffer: ReadBuffer, size: int) -> None:
        """As `feed`, without a copy: `decrypt_all` has to be called before anything else may use *buffer*."""
        raise NotImplementedError

    def fed(self) -> int:
        """How many bytes have been fed that nobody needed yet."""
        raise NotImplementedError

    def take(self) -> bytes:
        """All that is to be sent to the peer."""
        raise NotImplementedError

    def outgoing(self) -> int:
        """How many bytes `take` would return."""
        raise NotImplementedError

    def has_pending(self) -> bool:
        """Whether there may be something to decrypt."""
        raise NotImplementedError

    def decrypt(self, buffer: Any) -> int:
        """Fill *buffer*; returns how many bytes.  ``error`` is what went wrong after them, ``at_end`` whether the peer
        has said that no more will come."""
        raise NotImplementedError

    def decrypt_all(self, most: int) -> bytes:
        """What there is, up to about *most* bytes; the rest as `decrypt`."""
        raise NotImplementedError

    def encrypt(self, data: Any) -> int:
        """Take *data* to be sent; returns how many bytes, -1 for an `ssl.SSLError` in ``error``."""
        raise NotImplementedError


def attach(session: ssl.SSLObject) -> Records | None:
    """The records of *session*; None if they cannot be had."""
    return None


def describe() -> str:
    """How data is encrypted and decrypted, in words: the library, or why it is not used directly."""
    return "the interpreter's ssl module: hocket is not compiled"
