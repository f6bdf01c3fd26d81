"""What keeps producers from outrunning consumers: a channel, and one function for many items with a limit.

asyncio has neither.  What stands in for them on its side is what its users write: a bounded queue, and workers that
share an iterator.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from bench.case import InProcess, Metric, Probe, Sample
from bench.memory import resident

AT_ONCE = 100


def ends(api: Any, capacity: int) -> tuple[Callable[[Any], Awaitable[Any]], Callable[[], Awaitable[Any]]]:
    """How items go in and come out: of a channel where there are any, else of a queue."""
    if hasattr(api, "open_channel"):
        sender, receiver = api.open_channel(capacity)
        return sender.send, receiver.receive
    queue = api.Queue(capacity)
    return queue.put, queue.get


async def hop(items: int, api: Any, capacity: int) -> None:
    put, get = ends(api, capacity)

    async def produce() -> None:
        for item in range(items):
            await put(item)

    producer = asyncio.ensure_future(produce())
    total = 0
    for _ in range(items):
        total += await get()
    await producer
    if total != items * (items - 1) // 2:
        raise RuntimeError("what came out is not what went in")


async def channel(items: int, api: Any) -> None:
    """One place: producer and consumer wait for each other at every item."""
    await hop(items, api, 1)


async def channel_100(items: int, api: Any) -> None:
    """A hundred places: each waits once in a hundred items."""
    await hop(items, api, 100)


async def by_workers(fn: Callable[[int], Awaitable[int]], items: Iterator[int], at_once: int) -> AsyncIterator[int]:
    """What stands in for `amap`: so many tasks that share an iterator, and a bounded queue of results."""
    results: asyncio.Queue[Any] = asyncio.Queue(at_once)

    async def work() -> None:
        for item in items:
            await results.put(await fn(item))
        await results.put(None)

    workers = [asyncio.ensure_future(work()) for _ in range(at_once)]
    left = at_once
    while left:
        result = await results.get()
        if result is None:
            left -= 1
        else:
            yield result
    await asyncio.gather(*workers)


def results_of(api: Any, fn: Callable[[int], Awaitable[int]], count: int) -> Any:
    if hasattr(api, "amap"):
        return api.amap(fn, range(count), max_at_once=AT_ONCE)
    return by_workers(fn, iter(range(count)), AT_ONCE)


async def at_once(item: int) -> int:
    return item


async def after_a_turn(item: int) -> int:
    await asyncio.sleep(0)
    return item


async def mapped(count: int, api: Any, fn: Callable[[int], Awaitable[int]]) -> Sample:
    """The CPU time of an item, and by how much the memory has grown from the first tenth of the items to the last."""
    total = got = 0
    held = resident()
    started = time.process_time_ns()
    async for result in results_of(api, fn, count):
        total += result
        got += 1
        if got == count // 10:
            held = resident()
    cpu_us = (time.process_time_ns() - started) / count / 1000
    if total != count * (count - 1) // 2:
        raise RuntimeError("the results are not those of the items")
    return {"cpu_us": cpu_us, "grown_kib": max(resident() - held, 0) / 1024}


async def map_at_once(count: int, api: Any) -> Sample:
    return await mapped(count, api, at_once)


async def map_after_a_turn(count: int, api: Any) -> Sample:
    return await mapped(count, api, after_a_turn)


_COLUMNS = (Metric("grown_kib", "grown KiB", 0),)

CASES = (
    InProcess(
        "channel",
        "producer and consumer over a channel, one place",
        "item",
        channel,
        60_000,
        2_000,
        uses=("open_channel",),
    ),
    InProcess(
        "channel_100",
        "producer and consumer over a channel, 100 places",
        "item",
        channel_100,
        100_000,
        4_000,
        uses=("open_channel",),
    ),
    Probe(
        "amap",
        "one function for a million items, 100 at once",
        "item",
        map_at_once,
        Metric("cpu_us", "CPU us", 2),
        _COLUMNS,
        counts={"1m": 1_000_000},
        quick_count=2_000,
        uses=("amap",),
    ),
    Probe(
        "amap_turn",
        "a function that waits a turn, for a million items, 100 at once",
        "item",
        map_after_a_turn,
        Metric("cpu_us", "CPU us", 2),
        _COLUMNS,
        counts={"1m": 1_000_000},
        quick_count=2_000,
        uses=("amap",),
    ),
)
