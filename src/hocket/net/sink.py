"""`ByteSink`: a protocol that a transport hands bytes to without a call through Python."""

from __future__ import annotations


class ByteSink:
    """Takes what was read.  Base of protocols of ours that read byte streams.

    While ``_direct`` is true, `receive` does what ``data_received`` does, and needs no context: it runs nobody's code
    but hocket's.  A subclass that may have a ``data_received`` of its own is not direct.
    """

    _direct: bool

    def receive(self, data: bytes) -> bool:
        """Take *data*, all of it; or leave all of it to ``data_received`` and return False."""
        return False
