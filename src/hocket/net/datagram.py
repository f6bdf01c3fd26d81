"""Datagram endpoints: UDP, and Unix datagram sockets."""

from __future__ import annotations


class Datagrams:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""
