"""What is looked at to find trouble: everything at one moment, and what is only told once, when it happens."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from collections import deque
from dataclasses import dataclass
from typing import Any

from hocket.core import scheduler
from hocket.observe import watchdog
from hocket.observe.blockage import Blockage
from hocket.observe.facts import Place, Snapshot
from hocket.observe.graph import Graph, graph
from hocket.observe.snapshot import snapshot
from hocket.primitives.locks import Lock
from hocket.primitives.queues import Queue


@dataclass(frozen=True, slots=True)
class QueueLook:
    """A queue: which, how many items are in it and were at most, and how many fit in (0: any number)."""

    key: int
    title: str
    size: int
    most: int
    maxsize: int


@dataclass(frozen=True, slots=True)
class LockLook:
    """A lock whose holder has ended: which, the number of that task, and the names of those who wait for it."""

    title: str
    holder: int
    waiters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that Python or asyncio complained of: the name of its warning, what was said, and where if known."""

    name: str
    message: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Look:
    """All that there is to be seen at one moment; ``time`` as of `time.monotonic`."""

    time: float
    snapshot: Snapshot
    graph: Graph | None
    queues: tuple[QueueLook, ...]
    locks: tuple[LockLook, ...]
    blockages: tuple[Blockage, ...]
    mishaps: tuple[Mishap, ...]
    more_mishaps: int


def look(*, search: bool = True) -> Look:
    """Look at all loops of this process and at what their tasks use; from any thread.

    *search*: also look through all objects for locks, queues and leaked tasks, which takes half a second for a million.
    """
    queues, locks = _primitives() if search else ((), ())
    started = watchdog.started()
    return Look(
        time.monotonic(),
        snapshot(),
        graph() if search else graph(leaks=False),
        queues,
        locks,
        () if started is None else started.blockages(),
        tuple(mishaps.seen),
        mishaps.more,
    )


def _primitives() -> tuple[tuple[QueueLook, ...], tuple[LockLook, ...]]:
    queues = []
    locks = []
    for candidate in gc.get_objects():
        kind = type(candidate)
        if issubclass(kind, (Queue, asyncio.Queue)):
            found = _queue(candidate)
            if found is not None:
                queues.append(found)
        elif issubclass(kind, Lock):
            facts = candidate.statistics()
            if facts.holder is not None and facts.holder.name is None:
                names = tuple(waiter.name for waiter in facts.waiting.waiters)
                locks.append(LockLook(f"{kind.__name__} at {id(candidate):#x}", facts.holder.task, names))
    return tuple(queues), tuple(locks)


def _queue(queue: Any) -> QueueLook | None:
    try:
        size = queue.qsize()
    except Exception:  # Not set up yet, or a subclass with ways of its own.
        return None
    most = getattr(queue, "_most", 0) or size
    maxsize = getattr(queue, "maxsize", 0)
    return QueueLook(id(queue), f"{type(queue).__name__} at {id(queue):#x}", size, most, max(maxsize, 0))


class Mishaps:
    """Collects what is told only once: exceptions that nobody retrieved, and coroutines that nobody awaited."""

    #: How many are kept; more are counted.
    MOST = 100

    def __init__(self) -> None:
        self.seen: deque[Mishap] = deque(maxlen=self.MOST)
        self.more = 0
        self._collects = False
        self._show: Any = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Collect from now on."""
        with self._lock:
            if self._collects:
                return
            self._collects = True
        scheduler.on_exception.append(self._told)
        self._show = warnings.showwarning
        warnings.showwarning = self._warned

    def stop(self) -> None:
        """Collect no more, and forget."""
        with self._lock:
            if not self._collects:
                return
            self._collects = False
        scheduler.on_exception.remove(self._told)
        if warnings.showwarning == self._warned:
            warnings.showwarning = self._show
        self.seen.clear()
        self.more = 0

    def _add(self, mishap: Mishap) -> None:
        if len(self.seen) == self.MOST:
            self.more += 1
        else:
            self.seen.append(mishap)

    def _told(self, loop: Any, context: dict[str, Any]) -> None:
        message = str(context.get("message", ""))
        if message.endswith("was never retrieved"):
            error = context.get("exception")
            culprit = context.get("task") or context.get("future")
            self._add(Mishap("never-retrieved", f"{message}: {error!r} of {culprit!r}", _place_of(error)))

    def _warned(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any, **named: Any
    ) -> None:
        if issubclass(category, RuntimeWarning) and str(message).partition("\n")[0].endswith("was never awaited"):
            self._add(Mishap("never-awaited", str(message).partition("\n")[0], Place(filename, lineno, "")))
        self._show(message, category, filename, lineno, *rest, **named)


def _place_of(error: Any) -> Place | None:
    traceback = getattr(error, "__traceback__", None)
    if traceback is None:
        return None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    return Place(code.co_filename, traceback.tb_lineno, code.co_qualname)


mishaps = Mishaps()
