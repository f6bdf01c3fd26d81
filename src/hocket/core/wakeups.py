"""Timers that run no code of a user's: one gives a future its result."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from hocket.core.future import Future
from hocket.core.handles import Handle, TimerHandle
from hocket.native.freelist import keep_spare

#: What runs no code of a user's needs no context of theirs.
NO_CONTEXT = Context()


class Wakeup(TimerHandle):
    """Gives ``_future`` the result ``_value``, unless it is cancelled by then.

    What asyncio keeps as a callback with two arguments and a copy of the context: here it is two fields.
    """

    __slots__ = ("_future", "_value")

    _future: Future | None
    _value: Any

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return asyncio.TimerHandle

    def run(self) -> None:
        future = self._future
        if future is None:
            return
        self._future = None
        if not future._done:
            future._finish(self._value)
        elif not future._cancelled:
            # Somebody else has: reported as that of any callback.
            self._args = (future, self._value)
            Handle.run(self)

    def cancel(self) -> None:
        """Take the timer back."""
        self._future = None
        self._value = None
        self._take_back()

    def _repr_info(self) -> list[str]:
        if self._future is not None:
            self._args = (self._future, self._value)
        info = TimerHandle._repr_info(self)
        if self._future is not None:
            self._args = ()
        return info


keep_spare(Wakeup, 1024)
