"""The `sock_*` methods of the loop: awaitable calls on a socket that the caller owns."""

from __future__ import annotations


class SocketCalls:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""
