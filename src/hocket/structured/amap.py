"""`amap`: one function for many items, so many at once and so many a second."""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, TypeVar

from hocket.structured import sources
from hocket.structured.mapping import AsyncMap, new_async_map

T = TypeVar("T")


def amap(
    fn: Callable[[T], Awaitable[Any]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    max_at_once: int,
    max_per_second: float | None = None,
    ordered: bool = False,
    window: int | None = None,
) -> AsyncMap:
    """Call the coroutine function *fn* with each of *items*, and give the results.

    At most *max_at_once* calls run at a time, and at most *max_per_second* are started in a second, evenly spaced
    (None: as they come).  Results are given as they come or, if *ordered*, in the order of the items.  At most *window*
    items are started whose results have not been given, by default twice *max_at_once*: so a slow consumer slows the
    calls down, and one slow call holds the others back only when the window behind it is full.  No item is taken from
    *items* before it can be started, and a million of them need no more memory than a window of them::

        async with hocket.amap(fetch, urls, max_at_once=10) as pages:
            async for page in pages:
                ...

    Each call runs in a task and a copy of the context of its own.  If one raises, the others are cancelled; the
    results that are there are given (of *ordered* ones those before the first gap), and then an `ExceptionGroup` is
    raised when no call is left.  What *items* raises comes out as it is.  Once no more are wanted, *items* is closed if
    it is an asynchronous iterable that has an ``aclose``.

    In the ``async with`` block a cancelled iteration can be taken up again, and the end of the block cancels whatever
    is left and waits for it.  In a plain ``async for`` a cancellation does so before it goes on; see `hocket.Stream`.

    Raises `TypeError` and `ValueError` at once for what cannot be meant: a limit below 1, a rate that is not above 0, a
    window that is smaller than *max_at_once*, something that cannot be called, or not be iterated.

    The idea of ``max_at_once`` and ``max_per_second`` is that of trimeter and aiometer.
    """
    if not callable(fn):
        raise TypeError(f"amap() expected a coroutine function, got {fn!r}")
    title = f"amap of {getattr(fn, '__qualname__', type(fn).__qualname__)}"
    limits = checked(max_at_once, max_per_second, window)
    if sources.is_async(items, "amap()"):
        return new_async_map(title, fn, None, functools.partial(sources.feed, items=items), limits, bool(ordered))
    return new_async_map(title, fn, iter(items), None, limits, bool(ordered))  # type: ignore[arg-type]


def checked(max_at_once: Any, max_per_second: Any, window: Any) -> tuple[int, int, float]:
    """The three limits as numbers, none of them missing."""
    count(max_at_once, "max_at_once")
    if max_per_second is None:
        max_per_second = math.inf
    elif not isinstance(max_per_second, (int, float)) or isinstance(max_per_second, bool):
        raise TypeError(f"expected max_per_second as a number above 0, or None, got {max_per_second!r}")
    if not max_per_second > 0:
        raise ValueError(f"expected max_per_second above 0, got {max_per_second!r}")
    if window is None:
        window = 2 * max_at_once
    count(window, "window")
    if window < max_at_once:
        raise ValueError(f"expected a window of at least max_at_once={max_at_once} items, got {window}")
    return max_at_once, window, float(max_per_second)


def count(value: Any, name: str) -> None:
    """Refuse a *value* that is no count of 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected {name} as an int of 1 or more, got {value!r}")
    if value < 1:
        raise ValueError(f"expected {name} of 1 or more, got {value}")
