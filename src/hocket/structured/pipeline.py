"""`pipeline`: stages behind each other, each with a bound of its own."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hocket.structured import sources
from hocket.structured.amap import amap, checked
from hocket.structured.crew import Stream
from hocket.structured.merging import merge


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a `pipeline`: what `stage` gives."""

    fn: Callable[[Any], Awaitable[Any]]
    max_at_once: int
    max_per_second: float | None
    ordered: bool
    window: int | None

    def __call__(self, items: Iterable[Any] | AsyncIterable[Any]) -> Stream:
        """The results of the stage for *items*."""
        return amap(
            self.fn,
            items,
            max_at_once=self.max_at_once,
            max_per_second=self.max_per_second,
            ordered=self.ordered,
            window=self.window,
        )


def stage(
    fn: Callable[[Any], Awaitable[Any]],
    *,
    max_at_once: int,
    max_per_second: float | None = None,
    ordered: bool = False,
    window: int | None = None,
) -> Stage:
    """A stage of a `pipeline` that calls the coroutine function *fn* with each item; the limits are those of `amap`.

    Raises what `amap` raises for limits that cannot be meant, at once.
    """
    if not callable(fn):
        raise TypeError(f"stage() expected a coroutine function, got {fn!r}")
    checked(max_at_once, max_per_second, window)
    return Stage(fn, max_at_once, max_per_second, bool(ordered), window)


def pipeline(items: Iterable[Any] | AsyncIterable[Any], *stages: Callable[[Any], AsyncIterable[Any]]) -> Pipeline:
    """Send *items* through one stage after another, and give what comes out of the last.

    A stage is made by `stage`, or is anything that takes an iterable and gives an asynchronous one, such as
    ``functools.partial(hocket.batched, size=100)``.  Each has a bound of its own, and takes no item before it has room
    for it: the slowest decides how fast all of them are, and at no point of the line do items pile up::

        lines = hocket.pipeline(
            urls,
            hocket.stage(fetch, max_at_once=20, max_per_second=50),
            hocket.stage(parse, max_at_once=4),
            functools.partial(hocket.batched, size=100, within=1.0),
            hocket.stage(store, max_at_once=2),
        )
        await lines.drain()

    If a call fails anywhere, every stage ends, and its `ExceptionGroup` comes out at the end of the line.  Who leaves
    the ``async with`` block early, or is cancelled, ends every stage, and *items* as well; see `hocket.Stream`.

    Raises `ValueError` without a stage, `TypeError` for one that cannot be called and for what cannot be iterated.
    """
    if not stages:
        raise ValueError("pipeline() expected one stage at least, got none")
    for each in stages:
        if not callable(each):
            raise TypeError(f"pipeline() expected stages that take an iterable, made by stage() for one, got {each!r}")
    sources.is_async(items, "pipeline()")
    line: Any = items
    streams = []
    for each in stages:
        line = each(line)
        if not hasattr(type(line), "__aiter__"):
            raise TypeError(f"pipeline() expected an asynchronous iterable from the stage {each!r}, got {line!r}")
        streams.append(line)
    return Pipeline(streams)


class Pipeline(Stream):
    """What `hocket.pipeline` gives: a `hocket.Stream` of what comes out of the last stage."""

    def __init__(self, streams: list[Any]) -> None:
        self._streams = streams
        last = streams[-1]
        # What is no stream of ours may know nothing of blocks, and become one by being read.
        self._last: Any = last if isinstance(last, Stream) else merge(last)
        super().__init__(self._last._crew)

    def __anext__(self) -> Any:
        return self._last.__anext__()

    def statistics(self) -> tuple[Any, ...]:
        """The statistics of each stage, in their order: `MappingStatistics` of those made by `stage`, None of one that
        keeps none."""
        return tuple(each.statistics() if hasattr(each, "statistics") else None for each in self._streams)
