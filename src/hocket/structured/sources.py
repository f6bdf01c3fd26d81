"""Where streams take their items from: iterables of either kind, and the coroutines that read them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hocket.structured.channels import SendChannel
    from hocket.structured.crew import Crew


def is_async(items: Any, user: str) -> bool:
    """Whether *items* is an asynchronous iterable.  `TypeError` if it is none of either kind."""
    if hasattr(type(items), "__aiter__"):
        return True
    if hasattr(type(items), "__iter__") or hasattr(type(items), "__getitem__"):
        return False
    raise TypeError(f"{user} expected an iterable, or an asynchronous one, got {items!r}")


async def close(source: Any) -> None:
    """End *source*, an asynchronous iterator, if it can be ended: what it holds should not have to wait for the
    garbage collector."""
    aclose = getattr(source, "aclose", None)
    if aclose is not None:
        await aclose()


async def awaited(awaitable: Any) -> Any:
    """A coroutine for what can only be awaited."""
    return await awaitable


async def drained(stream: Any) -> int:
    """`hocket.Stream.drain`."""
    count = 0
    async with stream:
        async for _ in stream:
            count += 1
    return count


async def pour(items: Any, crew: Crew, sender: SendChannel) -> None:
    """Send each of *items*, of either kind, by *sender*, and close both; as one of *crew*."""
    with sender:
        if not hasattr(type(items), "__aiter__"):
            for item in items:
                await sender.send(item)
            return
        source: AsyncIterator[Any] = aiter(items)
        try:
            async for item in source:
                if crew.ending:
                    break  # It has swallowed the cancellation.
                await sender.send(item)
        finally:
            await close(source)


async def feed(mapping: Any, items: Any) -> None:
    """The feeder of an `amap` that takes from an asynchronous iterable; it takes none before there is room for it."""
    source: AsyncIterator[Any] = aiter(items)
    try:
        await mapping.room()
        async for item in source:
            mapping.start_with(item)
            await mapping.room()
    finally:
        await close(source)
