"""Calls of a protocol's methods inside a context, by name; and whether methods were replaced.

The method is looked up in each call, as `self._protocol.data_received(data)` does, so that whoever replaces it on the
object is heard.  The compiled twin makes no bound method and no tuple of arguments on the way.
"""

from __future__ import annotations

from contextvars import Context
from typing import Any


def call_method(receiver: Any, name: str, argument: Any, context: Context) -> Any:
    """``receiver.name(argument)`` inside *context*; what it raises comes through."""
    try:
        return context.run(getattr(receiver, name), argument)
    finally:
        # The traceback holds this frame, and would hold the receiver, which may hold the exception: a cycle.
        del receiver, argument


def copy_of(context: Context) -> Context:
    """A copy of *context*."""
    return context.copy()


def is_plain(candidate: Any) -> bool:
    """True if no attribute was set on the object itself: every method that it has is that of its class."""
    return not getattr(candidate, "__dict__", None)
