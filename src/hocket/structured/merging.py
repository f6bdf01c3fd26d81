"""`merge`: several iterables as one.  `race`: several awaitables, of which the first decides."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterable, Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from hocket.structured import sources
from hocket.structured.channels import ReceiveChannel, SendChannel, open_channel
from hocket.structured.crew import Crew, Stream
from hocket.structured.errors import BrokenResourceError, EndOfChannel

if TYPE_CHECKING:
    from hocket.structured.statistics import ChannelStatistics


def merge(*items: Iterable[Any] | AsyncIterable[Any], capacity: int = 0) -> Merge:
    """The items of several iterables, of either kind, as they come.

    Each iterable is read by a task of its own, which waits as long as its item has not been taken: so none of them is
    more than one item ahead, and *capacity* more between all of them.  It ends when all have ended.  If one raises, the
    others are ended, and an `ExceptionGroup` is raised when they have; what had been handed over comes before it.  In
    the end each iterable that has an ``aclose`` is closed::

        async with hocket.merge(orders(), cancellations(), ticks(1.0)) as events:
            async for event in events:
                ...

    Cancellation is as with `amap`; see `hocket.Stream`.  Raises `TypeError` for what cannot be iterated and for a
    *capacity* that is no int, `ValueError` without any iterable and for a negative capacity.
    """
    if not items:
        raise ValueError("merge() expected one iterable at least, got none")
    for source in items:
        sources.is_async(source, "merge()")
    return Merge(items, capacity)


class Merge(Stream):
    """What `hocket.merge` gives: a `hocket.Stream` of the items."""

    def __init__(self, items: tuple[Any, ...], capacity: int) -> None:
        sender, self._receiver = open_channel(capacity)
        super().__init__(Crew("merge", functools.partial(_start_pouring, items, sender)))

    async def __anext__(self) -> Any:
        return await next_of(self._crew, self._receiver)

    def statistics(self) -> ChannelStatistics:
        """Of the channel between the sources, which send, and who iterates."""
        return self._receiver.statistics()


def _start_pouring(items: tuple[Any, ...], sender: SendChannel, crew: Crew) -> None:
    for number, source in enumerate(items, 1):
        crew.start(sources.pour(source, crew, sender.clone()), f"merge, source {number}")
    sender.close()


async def next_of(crew: Crew, receiver: ReceiveChannel) -> Any:
    """``__anext__`` of a stream whose crew sends through a channel."""
    crew.begin()
    if not crew.closed:
        try:
            return await receiver.receive()
        except (EndOfChannel, BrokenResourceError):
            # A source that has failed has told its crew as well.
            await crew.finish()
        except asyncio.CancelledError as error:
            if not crew.entered:
                # Nobody else will see to it that nothing is left running.
                await crew.close(error)
            raise
    raise StopAsyncIteration


async def race(*awaitables: Awaitable[Any], tolerant: bool = False) -> Any:
    """Await all of them at once; the first that is done decides, and the others are cancelled.

    Gives its result, or raises its exception, when all others have ended.  If *tolerant*, a failure decides nothing as
    long as there are others: the first *result* is given, and an `ExceptionGroup` of all exceptions is raised if there
    is none.  What the others come to while they are cancelled is of no consequence; if it is an exception, the loop's
    exception handler is told.  A cancellation of the race cancels all of them, and waits for that::

        page = await hocket.race(fetch(mirror), fetch(origin))

    Each awaitable runs in a task of its own.  Raises `ValueError` without any, and `TypeError` for what cannot be
    awaited.
    """
    if not awaitables:
        raise ValueError("race() expected one awaitable at least, got none")
    for candidate in awaitables:
        if not inspect.isawaitable(candidate):
            for other in awaitables:
                if inspect.iscoroutine(other):
                    other.close()
            raise TypeError(f"race() expected awaitables, got {candidate!r}")
    return await _race(awaitables, tolerant)


class _Lane:
    """One of those who race, and what has become of it."""

    def __init__(self, awaitable: Awaitable[Any], arrivals: SendChannel) -> None:
        self.awaitable = awaitable
        self.arrivals = arrivals
        self.result: Any = None
        self.error: BaseException | None = None

    async def run(self) -> None:
        try:
            self.result = await self.awaitable
        except (Exception, asyncio.CancelledError) as error:
            self.error = error
        self.arrivals.send_nowait(self)


async def _race(awaitables: tuple[Awaitable[Any], ...], tolerant: bool) -> Any:
    sender, arrivals = open_channel(len(awaitables))
    crew = Crew("race")
    crew.begin()
    for number, awaitable in enumerate(awaitables, 1):
        crew.start(_Lane(awaitable, sender).run(), f"race, lane {number}")
    errors: list[BaseException] = []
    try:
        while True:
            first: _Lane = await arrivals.receive()
            if first.error is None or not tolerant:
                break
            errors.append(first.error)
            if len(errors) == len(awaitables):
                raise BaseExceptionGroup("all in the race have failed", errors)
        await _end(crew, arrivals, None)
        if first.error is None:
            return first.result
        raise first.error
    except asyncio.CancelledError as error:
        await _end(crew, arrivals, error)
        raise
    finally:
        # Their tracebacks hold this frame, and would hold them: a cycle.
        del errors
        first = None  # type: ignore[assignment]


async def _end(crew: Crew, arrivals: ReceiveChannel, error: BaseException | None) -> None:
    await crew.close(error)
    while arrivals.statistics().items:
        late: _Lane = arrivals.receive_nowait()
        if isinstance(late.error, Exception):
            crew.report(late.error)
