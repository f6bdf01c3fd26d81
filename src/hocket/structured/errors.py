"""What the parts of `hocket.structured` raise beside builtin exceptions; the names are trio's and anyio's."""

from __future__ import annotations


class WouldBlock(Exception):
    """What was asked for would have to wait, and ``..._nowait`` does not."""


class ClosedResourceError(Exception):
    """What was used has been closed at this end: by whoever uses it, or by somebody who shares it."""


class BrokenResourceError(Exception):
    """The other end is gone.  ``__cause__`` is the exception for which it was closed, if there was one."""


class EndOfChannel(Exception):
    """Everything that was sent has been received, and nobody can send any more."""
