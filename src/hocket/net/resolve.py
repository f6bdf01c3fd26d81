"""Names to addresses: lookups in threads of their own."""

from __future__ import annotations


class Resolver:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""
