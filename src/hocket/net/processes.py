"""Child processes: how the loop learns that one has ended."""

from __future__ import annotations


class Processes:
    """To be combined with `asyncio.SelectorEventLoop`, in front of it."""
