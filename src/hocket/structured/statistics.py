"""What channels, limiters and the like tell of themselves when they are asked, as `hocket.primitives.statistics`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hocket.primitives.statistics import LineStatistics, of_line

if TYPE_CHECKING:
    from hocket.structured.channels import Channel
    from hocket.structured.limiter import CapacityLimiter
    from hocket.structured.mapping import Mapping
    from hocket.structured.workers import WorkerPool


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """A channel: ``items`` wait in it to be received, and ``most`` did so at once at most, of ``capacity``.

    (What was to be received by somebody who is then cancelled stays in the channel also beyond its capacity.)

    ``sent`` counts the items that it has taken over, ``received`` those that have been received, ``dropped`` those that
    were left when the last receiver was closed.  ``sending`` wait for room, ``receiving`` for an item.
    """

    capacity: float
    items: int
    most: int
    sent: int
    received: int
    dropped: int
    open_senders: int
    open_receivers: int
    sending: LineStatistics
    receiving: LineStatistics


def of_channel(channel: Channel) -> ChannelStatistics:
    """What is so of *channel*."""
    capacity = channel._capacity
    return ChannelStatistics(
        capacity=capacity if capacity == math.inf else int(capacity),
        items=len(channel._items) - channel._promised,
        most=channel._most,
        sent=channel._sent,
        received=channel._received,
        dropped=channel._dropped,
        open_senders=channel._open_senders,
        open_receivers=channel._open_receivers,
        sending=of_line(channel._senders),
        receiving=of_line(channel._receivers),
    )


@dataclass(frozen=True, slots=True)
class LimiterStatistics:
    """A `CapacityLimiter`: of ``total_tokens``, ``borrowed_tokens`` are with ``borrowers``, in the order of borrowing.

    ``most`` were at once at most; ``tasks_waiting`` is how many wait for one now, and ``waiting`` tells who.
    """

    total_tokens: float
    borrowed_tokens: int
    borrowers: tuple[Any, ...]
    tasks_waiting: int
    most: int
    waiting: LineStatistics


def of_limiter(limiter: CapacityLimiter) -> LimiterStatistics:
    """What is so of *limiter*."""
    waiting = of_line(limiter._waiters)
    return LimiterStatistics(
        total_tokens=limiter.total_tokens,
        borrowed_tokens=len(limiter._borrowers),
        borrowers=tuple(limiter._borrowers),
        tasks_waiting=len(waiting.waiters),
        most=limiter._most,
        waiting=waiting,
    )


@dataclass(frozen=True, slots=True)
class MappingStatistics:
    """An `amap`: ``started`` calls in all, of which ``running`` run now and ``most_running`` did at once at most.

    ``given`` results have been taken, and ``waiting`` are there to be taken, or wait for one that comes before them.
    ``max_at_once`` and ``window`` are the limits.
    """

    started: int
    running: int
    most_running: int
    waiting: int
    given: int
    max_at_once: int
    window: int


def of_mapping(mapping: Mapping) -> MappingStatistics:
    """What is so of *mapping*."""
    return MappingStatistics(
        started=mapping._started,
        running=mapping._running,
        most_running=mapping._most_running,
        waiting=mapping._in_flight - mapping._running,
        given=mapping._given,
        max_at_once=mapping._max_at_once,
        window=mapping._window,
    )


@dataclass(frozen=True, slots=True)
class WorkerPoolStatistics:
    """A `WorkerPool`: of ``submitted`` jobs, ``waiting`` are in the line, ``busy`` run, and the others are over.

    ``done`` have given a result, ``failed`` have raised, ``cancelled`` were cancelled, also those still in the line.
    ``submitting`` wait for room in the line, and are no jobs yet.
    """

    workers: int
    capacity: float
    submitted: int
    waiting: int
    most_waiting: int
    busy: int
    done: int
    failed: int
    cancelled: int
    submitting: LineStatistics


def of_worker_pool(pool: WorkerPool) -> WorkerPoolStatistics:
    """What is so of *pool*."""
    line = pool._sender.statistics()
    return WorkerPoolStatistics(
        workers=pool._workers,
        capacity=line.capacity,
        submitted=line.sent,
        waiting=line.items,
        most_waiting=line.most,
        busy=pool._busy,
        done=pool._done,
        failed=pool._failed,
        cancelled=pool._cancelled,
        submitting=line.sending,
    )
