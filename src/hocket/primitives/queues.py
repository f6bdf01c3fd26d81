"""`Queue`, `PriorityQueue` and `LifoQueue`, as in `asyncio.queues` of Python 3.13 and later: with `shutdown`.

Who waits stands in ``_getters`` or ``_putters``, lines in the order of arrival.  Whoever makes room or brings an item
wakes the first and takes him out; the task looks again when its turn comes, since another may have been faster.

Subclasses may override ``_init``, ``_put``, ``_get`` and any public method, as with asyncio: ``_exact`` is True for our
own classes, where they need not be looked up.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from types import GenericAlias
from typing import TYPE_CHECKING, Any

from hocket.core.wait import Line, Wait
from hocket.primitives.bound import LoopBound
from hocket.primitives.locks import Event

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.deques import append, is_deque, popleft, size

if TYPE_CHECKING:
    from hocket.primitives.statistics import QueueStatistics

QueueEmpty = asyncio.QueueEmpty
QueueFull = asyncio.QueueFull

if hasattr(asyncio, "QueueShutDown"):
    QueueShutDown: type[Exception] = asyncio.QueueShutDown
else:

    class QueueShutDown(Exception):  # type: ignore[no-redef]
        """Raised when putting on to or getting from a queue that was shut down."""


class Queue(LoopBound):
    """First in, first out, for tasks.  Semantics of `asyncio.Queue`.

    With a *maxsize* above 0, `put` waits while that many items are in it.  Cancelling a task that waits takes nothing
    out and puts nothing in.  Not thread-safe::

        queue = hocket.Queue(maxsize=100)
        await queue.put(item)
        item = await queue.get()
    """

    def __init__(self, maxsize: int = 0) -> None:
        self._loop = None
        self._maxsize = maxsize
        self._limit = maxsize if maxsize > 0 else 0
        self._getters = Line()
        self._putters = Line()
        self._unfinished_tasks = 0
        self._finished = Event()
        self._finished._value = True
        self._is_shutdown = False
        self._exact = type(self) is Queue or type(self) is PriorityQueue or type(self) is LifoQueue
        self._queue: Any = None
        # How many items were in it at most.
        self._most = 0
        self._init(maxsize)

    # What a subclass may do otherwise.

    def _init(self, maxsize: int) -> None:
        self._queue = deque()

    def _get(self) -> Any:
        return self._queue.popleft()

    def _put(self, item: Any) -> None:
        self._queue.append(item)

    @classmethod
    def __class_getitem__(cls, item: Any) -> GenericAlias:
        return GenericAlias(cls, item)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {id(self):#x} {self._format()}>"

    def __str__(self) -> str:
        return f"<{type(self).__name__} {self._format()}>"

    def _format(self) -> str:
        shown = f"maxsize={self._maxsize!r}"
        if self._queue:
            shown += f" _queue={list(self._queue)!r}"
        if len(self._getters):
            shown += f" _getters[{len(self._getters)}]"
        if len(self._putters):
            shown += f" _putters[{len(self._putters)}]"
        if self._unfinished_tasks:
            shown += f" tasks={self._unfinished_tasks}"
        if self._is_shutdown:
            shown += " shutdown"
        return shown

    def qsize(self) -> int:
        """How many items are in the queue."""
        return len(self._queue)

    @property
    def maxsize(self) -> int:
        """How many items fit in; 0 or less: any number."""
        return self._maxsize

    def empty(self) -> bool:
        """True if there is nothing to get."""
        return not self._queue

    def full(self) -> bool:
        """True if there is no room to put."""
        return self._limit > 0 and self.qsize() >= self._limit

    def statistics(self) -> QueueStatistics:
        """How full it is and was at most, who waits for items or room, and how much has been waited."""
        from hocket.primitives import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_queue(self)

    def put(self, item: Any) -> Wait:
        """``await queue.put(item)`` waits for room and puts *item* in.  `QueueShutDown` after `shutdown`."""
        return _putting(self, item)

    def put_nowait(self, item: Any) -> None:
        """Put *item* in, or raise `QueueFull`; `QueueShutDown` after `shutdown`."""
        if self._is_shutdown:
            raise QueueShutDown
        if self._is_full():
            raise QueueFull
        self._bring(item)

    def _bring(self, item: Any) -> None:
        if self._is_shutdown:
            raise QueueShutDown
        if self._exact:
            self._put_exact(item)
        else:
            self._put(item)
        self._note_size()
        self._unfinished_tasks += 1
        self._finished._value = False
        if self._getters._first is not None:
            self._wakeup_next(self._getters)

    def get(self) -> Wait:
        """``await queue.get()`` waits for an item and takes it out.

        Raises `QueueShutDown` once the queue is shut down and empty.
        """
        return _getting(self)

    def get_nowait(self) -> Any:
        """Take an item out, or raise `QueueEmpty`; `QueueShutDown` if the queue is shut down and empty."""
        if self._is_empty():
            if self._is_shutdown:
                raise QueueShutDown
            raise QueueEmpty
        return self._take()

    def _take(self) -> Any:
        item = self._get_exact() if self._exact else self._get()
        if self._putters._first is not None:
            self._wakeup_next(self._putters)
        return item

    def task_done(self) -> None:
        """Say that an item that was taken out has been dealt with; `join` waits for that.

        `ValueError` if called more often than items were put in.
        """
        if self._unfinished_tasks <= 0:
            raise ValueError("task_done() called too many times")
        self._unfinished_tasks -= 1
        if self._unfinished_tasks == 0:
            self._finished.set()

    def join(self) -> Any:
        """``await queue.join()`` waits until `task_done` has been called for every item."""
        return _joining(self)

    def shutdown(self, immediate: bool = False) -> None:
        """Make `put` raise `QueueShutDown` from now on, and `get` once the queue is empty; whoever waits is woken.

        With *immediate* what is in the queue is dropped, and counts as dealt with.
        """
        self._is_shutdown = True
        if immediate:
            while not self.empty():
                self._get()
                if self._unfinished_tasks > 0:
                    self._unfinished_tasks -= 1
            if self._unfinished_tasks == 0:
                self._finished.set()
        for line in (self._getters, self._putters):
            while len(line):
                self._wakeup_next(line)

    def _is_full(self) -> bool:
        if not self._exact:
            return bool(self.full())
        if self._limit <= 0:
            return False
        return (size(self._queue) if is_deque(self._queue) else len(self._queue)) >= self._limit

    def _is_empty(self) -> bool:
        if not self._exact:
            return bool(self.empty())
        return not (size(self._queue) if is_deque(self._queue) else len(self._queue))

    def _note_size(self) -> None:
        # Of what a subclass keeps its items in, nothing is known.
        held = size(self._queue) if is_deque(self._queue) else len(self._queue) if type(self._queue) is list else 0
        if held > self._most:
            self._most = held

    def _put_exact(self, item: Any) -> None:
        if type(self) is PriorityQueue:
            heapq.heappush(self._queue, item)
        elif is_deque(self._queue):
            append(self._queue, item)
        else:
            self._queue.append(item)

    def _get_exact(self) -> Any:
        if type(self) is Queue:
            return popleft(self._queue) if is_deque(self._queue) else self._queue.popleft()
        if type(self) is LifoQueue:
            return self._queue.pop()
        return heapq.heappop(self._queue)

    def _wakeup_next(self, line: Line) -> None:
        while line._first is not None:
            wait = line.pop()
            if not wait._is_done():
                wait._wake()
                # It had left before it was known how long it has waited.
                line.waited += wait._waited
                break


class PriorityQueue(Queue):
    """A `Queue` that gives the smallest item first; items are often ``(priority, data)``."""

    def _init(self, maxsize: int) -> None:
        self._queue = []

    def _put(self, item: Any) -> None:
        heapq.heappush(self._queue, item)

    def _get(self) -> Any:
        return heapq.heappop(self._queue)


class LifoQueue(Queue):
    """A `Queue` that gives what was put in last first."""

    def _init(self, maxsize: int) -> None:
        self._queue = []

    def _put(self, item: Any) -> None:
        self._queue.append(item)

    def _get(self) -> Any:
        return self._queue.pop()


class Get(Wait):
    """`Queue.get`."""

    __slots__ = ()

    _name = "Queue.get"

    def _begin(self) -> Any:
        queue: Queue = self._owner
        if queue._is_empty():
            if queue._is_shutdown:
                raise QueueShutDown
            return queue._queue_up(queue._getters, self)
        self._result = queue._take() if queue._exact else queue.get_nowait()
        return None

    def _resume(self) -> Any:
        self._check_woken()
        return self._begin()

    def _interrupt(self, error: BaseException) -> Any:
        queue: Queue = self._owner
        queue._getters.leave(self)
        if self._woken and not queue._is_empty():
            # It was our turn already: let the next have it.
            queue._wakeup_next(queue._getters)
        raise error


class Put(Wait):
    """`Queue.put`."""

    __slots__ = ()

    _name = "Queue.put"

    def _begin(self) -> Any:
        queue: Queue = self._owner
        if queue._is_full():
            if queue._is_shutdown:
                raise QueueShutDown
            return queue._queue_up(queue._putters, self)
        item = self._item
        self._item = None
        if queue._exact:
            queue._bring(item)
        else:
            queue.put_nowait(item)
        return None

    def _resume(self) -> Any:
        self._check_woken()
        return self._begin()

    def _interrupt(self, error: BaseException) -> Any:
        queue: Queue = self._owner
        self._item = None
        queue._putters.leave(self)
        if self._woken and not queue._is_full():
            # It was our turn already: let the next have it.
            queue._wakeup_next(queue._putters)
        raise error


class Join(Wait):
    """`Queue.join`."""

    __slots__ = ()

    _name = "Queue.join"

    def _begin(self) -> Any:
        queue: Queue = self._owner
        finished = queue._finished
        if queue._unfinished_tasks <= 0 or finished._value:
            return None
        return finished._queue_up(finished._waiters, self)

    def _resume(self) -> Any:
        queue: Queue = self._owner
        self._check_woken()
        queue._finished._waiters.leave(self)
        return None

    def _interrupt(self, error: BaseException) -> Any:
        queue: Queue = self._owner
        queue._finished._waiters.leave(self)
        raise error


def _getting(queue: Queue) -> Get:
    operation = Get.__new__(Get)
    operation._owner = queue
    return operation  # type: ignore[no-any-return]


def _putting(queue: Queue, item: Any) -> Put:
    operation = Put.__new__(Put)
    operation._owner = queue
    operation._item = item
    return operation  # type: ignore[no-any-return]


def _joining(queue: Queue) -> Join:
    operation = Join.__new__(Join)
    operation._owner = queue
    return operation  # type: ignore[no-any-return]
