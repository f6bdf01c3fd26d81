"""One step of a coroutine, and one call of a callback, inside a context.

The compiled twin (``step.pyx``/``step.pxd``) says the same with ``PyIter_Send`` and ``PyContext_Enter``: a coroutine
that returns does not raise ``StopIteration`` through Python, and one that fails hands over its exception without a
frame of ours in the traceback.  What a step came to is told by the *type* of what is returned, so that both twins
have one signature: `Returned`, `Raised`, or anything else, which is what the coroutine yielded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from contextvars import copy_context as copy_context
from types import CoroutineType
from typing import Any, final


@final
class Returned:
    """The coroutine has returned *value*."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


@final
class Raised:
    """The coroutine has let *error* out; its traceback begins in the coroutine's own frame."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def send(coroutine: Any, context: Context | None) -> Any:
    """Resume *coroutine* inside *context* (None: where we are); tell what it yielded, `Returned` or `Raised`."""
    try:
        return coroutine.send(None) if context is None else context.run(coroutine.send, None)
    except StopIteration as stop:
        return Returned(stop.value)
    except BaseException as error:
        return Raised(_without_our_frame(error))


def throw(coroutine: Any, error: BaseException, context: Context | None) -> Any:
    """Raise *error* where *coroutine* is suspended; the result is told as by `send`."""
    try:
        return coroutine.throw(error) if context is None else context.run(coroutine.throw, error)
    except StopIteration as stop:
        return Returned(stop.value)
    except BaseException as raised:
        return Raised(_without_our_frame(raised))
    finally:
        # The traceback may keep this frame, which would keep the exception: a cycle.
        error = None  # type: ignore[assignment]


def call(callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> object:
    """Call *callback* inside *context*; what it raises comes through."""
    try:
        return context.run(callback, *args)
    finally:
        # The traceback holds this frame, and would hold the callback, which may hold the exception: a cycle.
        del callback, args


def attempt(callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> BaseException | None:
    """Call *callback* inside *context*; gives what it raises, or None."""
    try:
        context.run(callback, *args)
    except BaseException as error:
        return _without_our_frame(error)
    finally:
        # A traceback that the callback keeps reaches this frame through those that called each other: as in `call`.
        del callback, args
    return None


def copy_of(context: Context) -> Context:
    """A copy of *context*."""
    return context.copy()


def is_current(context: Context) -> bool:
    """Whether a copy of the current context would equal *context*, which is a copy that nobody has entered.

    False if that cannot be told without comparing them; so it is here.
    """
    return False


def is_coroutine(candidate: object) -> bool:
    """True for what an ``async def`` function returns; there are other coroutines, but these are the common ones."""
    return type(candidate) is CoroutineType


def _without_our_frame(error: BaseException) -> BaseException:
    traceback = error.__traceback__
    return error.with_traceback(traceback.tb_next if traceback is not None else None)
