"""`batched`: items in groups, by their number and by the time."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING, Any

from hocket.primitives.timeouts import timeout_at
from hocket.structured import sources
from hocket.structured.amap import count
from hocket.structured.channels import SendChannel, open_channel
from hocket.structured.crew import Crew, Stream
from hocket.structured.errors import BrokenResourceError, EndOfChannel, WouldBlock

if TYPE_CHECKING:
    from hocket.structured.statistics import ChannelStatistics


def batched(items: Iterable[Any] | AsyncIterable[Any], size: int, *, within: float | None = None) -> Batched:
    """The items in tuples of *size*; only the last, and those that time has cut off, are shorter, and none is empty.

    With *within* no item waits longer than so many seconds for the others of its batch: the time counts from when the
    first one came.  Without it a batch is given when it is full, however long that takes.  While a batch is being dealt
    with, the next one is being read, and no more than that::

        async with hocket.batched(events, 100, within=0.5) as batches:
            async for batch in batches:
                await store(batch)

    A cancellation loses no item in the ``async with`` block: the iteration can be taken up again.  If *items* raises,
    what came before is given first.  In the end *items* is closed if it has an ``aclose``.  See `hocket.Stream`.

    Raises `TypeError` and `ValueError` for a *size* that is no int of 1 or more, a time that is not above 0, and what
    cannot be iterated.  By the name and the tuples that of `itertools.batched`.
    """
    count(size, "size")
    if within is not None:
        if isinstance(within, bool) or not isinstance(within, (int, float)):
            raise TypeError(f"expected within as a number of seconds above 0, or None, got {within!r}")
        if not within > 0:
            raise ValueError(f"expected within to be more than 0 seconds, got {within!r}")
    if sources.is_async(items, "batched()"):
        return _BatchedInTime(items, size, within)
    return _BatchedAtOnce(items, size)


class Batched(Stream):
    """What `hocket.batched` gives: a `hocket.Stream` of tuples."""

    async def __anext__(self) -> tuple[Any, ...]:
        raise NotImplementedError


class _BatchedAtOnce(Batched):
    """Of what never has to be waited for."""

    def __init__(self, items: Any, size: int) -> None:
        super().__init__(Crew("batched"))
        self._source = iter(items)
        self._size = size
        self._failure: Exception | None = None

    async def __anext__(self) -> tuple[Any, ...]:
        failure = self._failure
        if failure is not None:
            self._failure = None
            self._source = iter(())
            try:
                raise failure
            finally:
                failure = None
        batch: list[Any] = []
        if not self._crew.closed:
            try:
                # Not by tuple(), which would lose what came before an exception.
                for item in itertools.islice(self._source, self._size):
                    batch.append(item)
            except Exception as error:
                if not batch:
                    raise
                self._failure = error
        if not batch:
            raise StopAsyncIteration
        return tuple(batch)


class _BatchedInTime(Batched):
    """Of an asynchronous iterable: a task reads it, and notes when each item came."""

    def __init__(self, items: Any, size: int, within: float | None) -> None:
        sender, self._receiver = open_channel(size)
        super().__init__(Crew("batched", functools.partial(_start_reading, items, sender), plain=True))
        self._size = size
        self._within = within
        # What has been taken and not given yet: a cancellation must not lose it.
        self._batch: list[Any] = []
        self._due: float | None = None

    async def __anext__(self) -> tuple[Any, ...]:
        crew = self._crew
        crew.begin()
        if crew.closed:
            raise StopAsyncIteration
        try:
            await self._fill()
        except (EndOfChannel, BrokenResourceError):
            # A source that has failed has told the crew as well.
            if not self._batch:
                await crew.finish()
                raise StopAsyncIteration from None
        except asyncio.CancelledError as error:
            if not crew.entered:
                # Nobody else will see to it that nothing is left running.
                await crew.close(error)
            raise
        batch = tuple(self._batch)
        self._batch.clear()
        return batch

    def statistics(self) -> ChannelStatistics:
        """Of the channel between the reader and who iterates."""
        return self._receiver.statistics()

    async def _fill(self) -> None:
        batch = self._batch
        if not batch:
            self._take(await self._receiver.receive())
        while len(batch) < self._size:
            try:
                self._take(self._receiver.receive_nowait())
                continue
            except WouldBlock:
                pass
            try:
                async with timeout_at(self._due):
                    arrival = await self._receiver.receive()
            except TimeoutError:
                return
            self._take(arrival)

    def _take(self, arrival: tuple[float, Any]) -> None:
        when, item = arrival
        if not self._batch:
            self._due = None if self._within is None else when + self._within
        self._batch.append(item)


def _start_reading(items: Any, sender: SendChannel, crew: Crew) -> None:
    crew.start(_read(items, crew, sender), "reader of batched")


async def _read(items: Any, crew: Crew, sender: SendChannel) -> None:
    """Send each item with the time when it came."""
    loop = asyncio.get_running_loop()
    with sender:
        source = aiter(items)
        try:
            async for item in source:
                if crew.ending:
                    break  # It has swallowed the cancellation.
                await sender.send((loop.time(), item))
        finally:
            await sources.close(source)
