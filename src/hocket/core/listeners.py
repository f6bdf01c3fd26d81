"""Who is told when something happens to a loop: lists of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hocket.core import asyncio_private


class Listeners(list[Callable[..., object]]):
    """Functions that are called one after the other.

    One that raises is reported in asyncio's log and not called any more: who only listens must not stop what he
    listens to.  `remove` puts up with one that has gone so.
    """

    def tell(self, *arguments: Any) -> None:
        """Call all who listen with *arguments*."""
        for listener in list(self):
            try:
                listener(*arguments)
            except Exception:
                self.remove(listener)
                asyncio_private.logger.exception("%r has failed: it does not listen to loops any more", listener)

    def remove(self, listener: Callable[..., object]) -> None:
        """Do not call *listener* any more."""
        if listener in self:
            super().remove(listener)
