"""What a transport may read for without a call into Python: a protocol that takes bytes where they have come."""

from __future__ import annotations

from contextvars import Context

from hocket.native.sockets import ReadBuffer

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython


class Layer:
    """A protocol of hocket's own, such as `hocket.net.tls_transport.TlsTransport`."""

    def received(self, buffer: ReadBuffer, count: int) -> None:
        """*count* bytes have come: the first in *buffer*, which belongs to all of the loop's sockets.

        What is not used before anything else may run has to be copied.
        """
        raise NotImplementedError


if not cython.compiled:

    def hand_over(layer: Layer, buffer: ReadBuffer, count: int, context: Context) -> None:
        """Have *layer* take what came, inside *context*; what it raises comes through."""
        context.run(layer.received, buffer, count)
