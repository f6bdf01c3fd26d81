"""The primitives that somebody waits for or holds: locks, queues and the like, hocket's own and asyncio's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hocket.core import asyncio_waits, scheduler
from hocket.observe.frames import primitives_entered
from hocket.observe.waits import Index, is_task, number_of, title, waited_for
from hocket.primitives import statistics
from hocket.primitives.barrier import Barrier
from hocket.primitives.condition import Condition
from hocket.primitives.locks import Event, Lock, Semaphore
from hocket.primitives.queues import Queue
from hocket.primitives.statistics import LineStatistics
from hocket.structured.channels import Channel
from hocket.structured.limiter import CapacityLimiter

#: The kinds of waits that are for a primitive.
_KINDS = frozenset({"lock", "semaphore", "event", "condition", "barrier", "queue", "channel", "limiter"})
#: After so many tasks `look_for_primitives` lets others go first.
_PIECE = 100


@dataclass(frozen=True, slots=True)
class PrimitiveFacts:
    """One primitive.  ``holders`` and ``waiters`` are numbers of tasks, these in the order in which they came.

    ``size`` is how many items are in a queue or a channel, or how many places of a semaphore or a limiter are free;
    ``limit`` how many there can be; None if that is not known, or does not apply.  ``most_waiting`` is how many waited
    at once at most, ``waits`` how often somebody had to wait, ``waited`` for how many seconds in all: 0 of asyncio's
    own, which do not count.
    """

    kind: str
    what: str
    loop: int
    holders: tuple[int, ...]
    waiters: tuple[int, ...]
    size: int | None
    limit: int | None
    most_waiting: int
    waits: int
    waited: float


def primitives() -> tuple[PrimitiveFacts, ...]:
    """Every primitive that a task of hocket's loops waits for, or holds by ``async with``; from any thread.

    for primitive in hocket.observe.primitives():
        print(primitive.what, len(primitive.waiters))
    """
    return tuple(found for found in look_for_primitives() if found is not None)


def look_for_primitives() -> Iterator[PrimitiveFacts | None]:
    """`primitives`, one by one; in between, where it has worked for a while, None, for those who must not work for long
    at a stretch."""
    for loop in scheduler.loops():
        index = Index(loop)
        for _ in index.prepare():
            yield None
        found: dict[int, tuple[str, Any]] = {}
        waiters: dict[int, list[Any]] = {}
        for count, task in enumerate(loop.live(), 1):
            waiting = waited_for(task)
            wait = None if waiting is None else index.waiting(waiting, task)
            if wait is not None and wait.kind in _KINDS and wait.on is not None:
                found[id(wait.on)] = (wait.kind, wait.on)
                waiters.setdefault(id(wait.on), []).append(task)
            for entered in primitives_entered(task.get_coro()):
                kind = _kind_of(entered)
                if kind is not None:
                    found.setdefault(id(entered), (kind, entered))
            if count % _PIECE == 0:
                yield None
        for key, (kind, primitive) in found.items():
            yield _facts(kind, primitive, loop, index, waiters.get(key, []))


def _kind_of(primitive: Any) -> str | None:
    if issubclass(type(primitive), (Lock, *asyncio_waits.LOCKS)):
        return "lock"
    if issubclass(type(primitive), (Semaphore, *asyncio_waits.SEMAPHORES)):
        return "semaphore"
    return None


def _facts(kind: str, primitive: Any, loop: Any, index: Index, waiters: list[Any]) -> PrimitiveFacts:
    size = limit = None
    if kind == "semaphore":
        size, limit = primitive._value, getattr(primitive, "_bound_value", None)
    elif kind == "queue":
        size, limit = len(primitive._queue) if hasattr(primitive, "_queue") else None, primitive._maxsize or None
    elif kind == "channel":
        size, limit = len(primitive._items) - primitive._promised, _finite(primitive._capacity)
    elif kind == "limiter":
        size, limit = _finite(primitive.available_tokens), _finite(primitive.total_tokens)
    holders = []
    if kind == "limiter":
        holders = [number_of(borrower) for borrower in list(primitive._borrowers) if is_task(borrower)]
    if kind in ("lock", "semaphore"):
        holders = [number_of(task) for task in index.of_primitive(kind, primitive).tasks]
    most, waits, waited = _counts(primitive)
    return PrimitiveFacts(
        kind=kind,
        what=title(primitive),
        loop=loop._number,
        holders=tuple(dict.fromkeys(holders)),
        waiters=tuple(number_of(task) for task in sorted(waiters, key=lambda task: task.since)),
        size=size,
        limit=limit,
        most_waiting=most,
        waits=waits,
        waited=waited,
    )


def _finite(number: float) -> int | None:
    return None if number == math.inf else int(number)


def _counts(primitive: Any) -> tuple[int, int, float]:
    """What the lines of *primitive*, one of hocket's, have counted."""
    kind = type(primitive)
    lines: list[LineStatistics] = []
    if issubclass(kind, Queue):
        queue = statistics.of_queue(primitive)
        lines = [queue.getting, queue.putting, queue.joining]
    elif issubclass(kind, (Lock, Event, Semaphore, Condition, CapacityLimiter)):
        lines = [statistics.of_line(primitive._waiters)]
    elif issubclass(kind, Channel):
        lines = [statistics.of_line(primitive._senders), statistics.of_line(primitive._receivers)]
    elif issubclass(kind, Barrier):
        lines = [statistics.of_line(primitive._cond._waiters)]
    if not lines:
        return 0, 0, 0.0
    return max(line.most for line in lines), sum(line.waits for line in lines), sum(line.waited for line in lines)
