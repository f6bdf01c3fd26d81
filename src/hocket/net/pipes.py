"""Transports of pipes: for `asyncio.loop.connect_read_pipe` and `asyncio.loop.connect_write_pipe`."""

from __future__ import annotations


class Pipes:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""
