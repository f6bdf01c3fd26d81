"""What the primitives tell of themselves when they are asked: frozen objects that say what was so at one moment.

Times are in seconds.  They count from the step in which a task begins to wait to the one in which it is woken, without
the time that it is ready then; tasks that are not of hocket's class have no times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hocket.core.scheduler import live_tasks
from hocket.core.task import Task
from hocket.native.measure import now_in_ticks, ticks_per_second

if TYPE_CHECKING:
    from hocket.core.wait import Line
    from hocket.primitives.barrier import Barrier
    from hocket.primitives.condition import Condition
    from hocket.primitives.locks import Event, Lock, Semaphore
    from hocket.primitives.queues import Queue
    from hocket.primitives.taskgroups import TaskGroup


@dataclass(frozen=True, slots=True)
class Waiter:
    """A task that waits: its number (0: it is not of hocket's class), its name, and for how long it has waited."""

    task: int
    name: str
    waited: float


@dataclass(frozen=True, slots=True)
class Holder:
    """The task that has acquired a lock and not released it.  ``name`` is None if it has ended without doing so."""

    task: int
    name: str | None


@dataclass(frozen=True, slots=True)
class LineStatistics:
    """A line of those who wait.

    ``waiters`` are those who wait now, in the order in which it will be their turn, and ``most`` is how many did so at
    once at most.  ``waits`` counts how often somebody had to wait, and ``waited`` is for how long in all, by now.
    """

    waiters: tuple[Waiter, ...]
    most: int
    waits: int
    waited: float


@dataclass(frozen=True, slots=True)
class LockStatistics:
    """A `Lock`.  ``holder`` is None if nobody holds it, or none of hocket's tasks."""

    locked: bool
    holder: Holder | None
    waiting: LineStatistics


@dataclass(frozen=True, slots=True)
class EventStatistics:
    """An `Event`."""

    is_set: bool
    waiting: LineStatistics


@dataclass(frozen=True, slots=True)
class SemaphoreStatistics:
    """A `Semaphore`: how many places are free.  ``bound`` is how many there are, None if it is not a bounded one."""

    value: int
    bound: int | None
    waiting: LineStatistics


@dataclass(frozen=True, slots=True)
class ConditionStatistics:
    """A `Condition`.  ``lock`` is None if it was given a lock that is not hocket's; ``waiting`` is for `notify`."""

    locked: bool
    lock: LockStatistics | None
    waiting: LineStatistics


@dataclass(frozen=True, slots=True)
class BarrierStatistics:
    """A `Barrier`: how many tasks it takes and how many have come."""

    parties: int
    arrived: int
    broken: bool
    waiting: LineStatistics


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """A `Queue`: ``size`` items are in it, and ``most`` were at once (0 if a subclass keeps them in a way of its own).

    ``maxsize`` is 0 if it is not bounded; ``unfinished`` is how many `task_done` calls are missing.  ``getting`` wait
    for an item, ``putting`` for room, ``joining`` for the last `task_done`.
    """

    size: int
    maxsize: int
    most: int
    unfinished: int
    is_shutdown: bool
    getting: LineStatistics
    putting: LineStatistics
    joining: LineStatistics


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """A `TaskGroup`.  ``running`` of the tasks that were ``started`` have not ended; ``failed`` have raised something.

    ``limit`` is how many may run at a time, or None, and ``room`` who waits for that in `TaskGroup.spawn`.
    """

    running: int
    started: int
    failed: int
    limit: int | None
    room: LineStatistics | None


def of_line(line: Line) -> LineStatistics:
    """What is so of *line*."""
    rate = ticks_per_second()
    now = now_in_ticks()
    waiters = []
    waited = line.waited
    for wait in list(line):
        if wait.done():
            continue
        task = _waiting(wait)
        since = max(now - task.since, 0) if isinstance(task, Task) else 0
        waited += since
        waiters.append(Waiter(getattr(task, "_number", 0), _name(task), since / rate))
    return LineStatistics(tuple(waiters), line.most, line.waits, waited / rate)


def _waiting(wait: Any) -> Any:
    """Whom *wait*, or the future in its place, will wake."""
    waker = getattr(wait, "_waker", None)
    if waker is None:
        return wait
    if isinstance(waker, list):
        callback = waker[0][0] if waker else wait
        return getattr(callback, "__self__", callback)
    return waker


def _name(task: Any) -> str:
    if isinstance(task, Task):
        # `get_name` keeps the one that it makes up, and to look must leave no trace.
        return f"Task-{task._number}" if task._name is None else str(task._name)
    name = getattr(task, "get_name", None)
    return type(task).__name__ if name is None else str(name())


def of_lock(lock: Lock) -> LockStatistics:
    """What is so of *lock*."""
    return LockStatistics(lock.locked(), _holder(lock._holder), of_line(lock._waiters))


def _holder(number: int) -> Holder | None:
    if not number:
        return None
    for task in live_tasks():
        if task._number == number:
            return Holder(number, _name(task))
    return Holder(number, None)


def of_event(event: Event) -> EventStatistics:
    """What is so of *event*."""
    return EventStatistics(event.is_set(), of_line(event._waiters))


def of_semaphore(semaphore: Semaphore) -> SemaphoreStatistics:
    """What is so of *semaphore*."""
    bound = getattr(semaphore, "_bound_value", None)
    return SemaphoreStatistics(semaphore._value, bound, of_line(semaphore._waiters))


def of_condition(condition: Condition) -> ConditionStatistics:
    """What is so of *condition*."""
    from hocket.primitives.locks import Lock

    lock = condition._lock
    return ConditionStatistics(
        condition.locked(), of_lock(lock) if isinstance(lock, Lock) else None, of_line(condition._waiters)
    )


def of_barrier(barrier: Barrier) -> BarrierStatistics:
    """What is so of *barrier*."""
    return BarrierStatistics(barrier.parties, barrier.n_waiting, barrier.broken, of_line(barrier._cond._waiters))


def of_queue(queue: Queue) -> QueueStatistics:
    """What is so of *queue*."""
    return QueueStatistics(
        size=queue.qsize(),
        maxsize=max(queue.maxsize, 0),
        most=queue._most,
        unfinished=queue._unfinished_tasks,
        is_shutdown=queue._is_shutdown,
        getting=of_line(queue._getters),
        putting=of_line(queue._putters),
        joining=of_line(queue._finished._waiters),
    )


def of_group(group: TaskGroup) -> GroupStatistics:
    """The statistics of *group*."""
    line = group._line
    return GroupStatistics(
        len(group._tasks),
        group._started,
        group._failed,
        group._limit or None,
        None if line is None else of_line(line),
    )
