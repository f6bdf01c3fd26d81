"""What matters more and what less, when not all calls can be served."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Importance(enum.IntEnum):
    """How much a call matters when not all can be served.  Those that matter least are refused first."""

    SHEDDABLE = 0
    NORMAL = 1
    CRITICAL = 2


_importance: ContextVar[Importance] = ContextVar("hocket.resilience.importance", default=Importance.NORMAL)


@contextmanager
def importance(level: Importance) -> Iterator[None]:
    """What is called in this block, and in tasks that are started in it, matters so much.

    with importance(Importance.CRITICAL):
        await checkout(basket)
    """
    if not isinstance(level, Importance):
        raise TypeError(f"importance() expected an Importance, got {level!r}")
    token = _importance.set(level)
    try:
        yield
    finally:
        _importance.reset(token)


def current_importance() -> Importance:
    """How much what runs here matters."""
    return _importance.get()
