"""What a task waits for, who could end that wait, and how that is said.

A task of ours knows the future that it waits for, or the operation of a primitive.  What stands behind a future is
found out when somebody asks: by the timers that would resolve it and the descriptors that are watched for it, by the
functions of asyncio in which the task stands (`hocket.core.asyncio_waits`), and by who would be told.  The program
pays nothing for it, and none of its code runs: not even a ``__repr__``.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from hocket.core import asyncio_waits
from hocket.core.future import Future
from hocket.core.scheduler import live_tasks
from hocket.core.task import Task
from hocket.core.wait import Wait
from hocket.core.wakeups import Wakeup
from hocket.observe.facts import WaitFacts
from hocket.observe.frames import chain, frame_of, locals_of, place_of, primitives_entered, running_frames
from hocket.primitives.condition import Condition, Notice, WaitForNotice
from hocket.primitives.grouping import Leave
from hocket.primitives.locks import AcquireLock, AcquireSemaphore, Lock, WaitForEvent
from hocket.primitives.queues import Get, Join, Put
from hocket.primitives.sleep import Sleep, SleepTimer
from hocket.primitives.stream_reader import WaitForData
from hocket.primitives.stream_writer import Drain
from hocket.primitives.threads import Call, Held, Joined
from hocket.structured.channels import Receive, Send
from hocket.structured.crew import Close
from hocket.structured.limiter import AcquireToken
from hocket.structured.mapping import Feed, Next, Room
from hocket.structured.worker_threads import Job


@dataclass(slots=True)
class Waiting:
    """What one task waits for, with the objects themselves: for those who look at once, and keep nothing.

    ``on`` is the primitive, or else the future.  ``tasks`` are those that are waited for or that hold it, and
    ``futures`` those that are waited for and are no tasks; with ``every`` all of them have to be done, else one is
    enough.  ``owned`` says that nobody but ``tasks`` can end the wait.  ``outside`` says that something will which is
    no task: a timer, a descriptor, a thread, a process.  ``due`` is in how many seconds a timer does.  ``abandoned``
    says that the holder has ended without giving it back.
    """

    kind: str
    what: str
    on: Any = None
    tasks: list[Any] = field(default_factory=list)
    futures: list[Any] = field(default_factory=list)
    every: bool = True
    owned: bool = False
    outside: bool = False
    abandoned: bool = False
    due: float | None = None
    descriptor: int | None = None

    def facts(self) -> WaitFacts:
        """The same to be kept."""
        return WaitFacts(self.kind, self.what, self.due, self.descriptor, tuple(map(number_of, self.tasks)))


def waited_for(task: Any) -> Any:
    """What *task* waits for; None if it is not waiting."""
    waiter = task._fut_waiter
    return None if waiter is None or waiter.done() else waiter


# -- Names

_others: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_numbering = threading.Lock()


def number_of(task: Any) -> int:
    """The number of *task*; of one that is not of hocket's class, a negative one that it keeps."""
    if type(task) is Task or isinstance(task, Task):
        number: int = task._number
        return number
    with _numbering:
        return _others.setdefault(task, -1 - len(_others))


def is_task(candidate: Any) -> bool:
    """Whether *candidate* is a task, of hocket's class or of another."""
    kind: Any = type(candidate)
    return is_kind_of_task(kind)


def is_future(candidate: Any) -> bool:
    """Whether *candidate* is a future or a task."""
    return (
        is_task(candidate) or issubclass(type(candidate), (Future, asyncio.Future)) or hasattr(type(candidate), "done")
    )


@functools.lru_cache(maxsize=4096)
def is_kind_of_task(kind: type) -> bool:
    """Whether objects of this *kind* are tasks; not asked of themselves, since what a program has made may answer
    anything."""
    return issubclass(kind, (Task, asyncio.Task)) or (hasattr(kind, "get_coro") and hasattr(kind, "uncancel"))


def name_of(task: Any) -> str:
    """The name of *task*."""
    if not isinstance(task, Task):
        return str(task.get_name())
    # `get_name` keeps the one that it makes up, and to look must leave no trace.
    name = task._name
    return f"Task-{task._number}" if name is None else str(name)


def names(tasks: Sequence[Any], most: int = 3) -> str:
    """The names of *tasks*, of *most* at most."""
    left = len(tasks) - most
    return ", ".join(map(name_of, tasks[:most])) + (f" and {left} more" if left > 0 else "")


def title(primitive: Any) -> str:
    """What *primitive* is called: its class, and which of them."""
    return f"{type(primitive).__name__} at {id(primitive):#x}"


_CONDITIONS = (Condition, *asyncio_waits.CONDITIONS)
_OF_OURS: dict[type, str] = {
    AcquireLock: "lock",
    AcquireSemaphore: "semaphore",
    WaitForEvent: "event",
    Get: "queue",
    Put: "queue",
    Join: "queue",
    Notice: "condition",
    WaitForNotice: "condition",
}
#: What is waited for there, of a queue.
_ENDS = {Get: "an item", Put: "room", Join: "task_done()", "get": "an item", "put": "room", "join": "task_done()"}


_NEVER = float("inf")
#: The timers of which there may be as many as tasks: who sleeps knows his own.
_OF_SLEEPERS = (Wakeup, SleepTimer)
#: After so many timers or descriptors `Index.prepare` lets others go first.
_PIECE = 1000


class Index:
    """What can be known of the waits of one loop only by looking through all of it: which timer wakes whom, which
    descriptor, which thread, and who holds what.

    It looks when it is asked for the first time; who must not work for long at a stretch calls `prepare` before.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._now = loop.time()
        self._prepared = False
        self._due: dict[int, float] = {}
        self._wakeups: dict[int, float] | None = None
        self._watched: dict[int, tuple[int, bool]] = {}
        self._by_number: dict[int, Any] | None = None
        self._holders: dict[int, list[Any]] | None = None
        self._calls: dict[int, str] | None = None

    def prepare(self) -> Iterator[None]:
        """Look through timers and descriptors, piece by piece."""
        timers = self._loop._scheduled.snapshot()
        for start in range(0, len(timers), _PIECE):
            for timer in [timer for timer in timers[start : start + _PIECE] if type(timer) not in _OF_SLEEPERS]:
                for target in _targets(timer):
                    self._note_due(target, timer)
            yield
        for count, (fd, reader, writer) in enumerate(self._loop._driver.watches(), 1):
            for watcher, writing in ((reader, False), (writer, True)):
                for target in _targets(watcher):
                    self._watched[id(target)] = (fd, writing)
            if count % _PIECE == 0:
                yield
        self._prepared = True

    def _note_due(self, target: Any, timer: Any) -> None:
        due = timer._when - self._now
        if due < self._due.get(id(target), _NEVER):
            self._due[id(target)] = due

    def _due_of(self, future: Any) -> float:
        """In how many seconds a timer gives *future* its result, for those who do not wait in ``asyncio.sleep``."""
        if self._wakeups is None:
            timers = self._loop._scheduled.snapshot()
            self._wakeups = {id(timer._future): timer._when - self._now for timer in timers if type(timer) is Wakeup}
        return min(self._due.get(id(future), _NEVER), self._wakeups.get(id(future), _NEVER))

    def describe(self, waiting: Any, task: Any) -> WaitFacts:
        """What *task* waits for, which is *waiting*."""
        return self.waiting(waiting, task).facts()

    def waiting(self, waiting: Any, task: Any) -> Waiting:
        """What *task* waits for, which is *waiting*, with the objects themselves."""
        if not self._prepared:
            for _ in self.prepare():
                pass
        if issubclass(type(waiting), Wait):
            found = self._of_ours(waiting, task)
        elif is_task(waiting):
            found = _on_tasks("task", f"task {name_of(waiting)}", waiting, [waiting])
        else:
            found = self._of_future(waiting, task)
        due = min(self._due.get(id(waiting), _NEVER), self._due.get(id(task), _NEVER))
        if due != _NEVER:
            found.due = due if found.due is None else min(due, found.due)
            found.outside = True
        return found

    # -- Our own operations

    def _of_ours(self, wait: Wait, task: Any) -> Waiting:
        kind = type(wait)
        owner = wait._owner
        if kind is Sleep:
            due = None if owner is None else owner._when - self._now
            return Waiting("timer", "sleep", on=wait, outside=True, due=due)
        if kind is Call or kind is Joined or kind is Held:
            return self._of_thread(owner)
        if owner is None:
            # It is over; the loop goes on while one looks.
            return Waiting("unknown", type(wait)._name, on=wait, outside=True)
        if isinstance(wait, WaitForData):
            return _of_stream("readable", owner, type(wait)._name)
        if kind is Drain:
            return _of_stream("writable", owner, "StreamWriter.drain")
        if kind is WaitForNotice and wait._quiet:
            return self.of_primitive("lock", owner._lock)
        if kind is WaitForNotice or kind is Notice:
            barrier = self._recognised(task)
            if barrier is not None:
                return barrier
        if kind is Get:
            completed = self._recognised(task)
            if completed is not None and completed.kind == "gather":
                return completed  # as_completed() has a queue inside
        if kind in _OF_OURS:
            return self.of_primitive(_OF_OURS[kind], owner, _ENDS.get(kind))
        return _of_flow(wait, owner) or Waiting("unknown", type(wait)._name, on=wait)

    def of_primitive(self, kind: str, primitive: Any, end: str | None = None) -> Waiting:
        """A wait for *primitive*; of a queue, for what *end* says."""
        what = title(primitive) if end is None else f"{end} of {title(primitive)}"
        found = Waiting(kind, what, on=primitive)
        if kind == "lock":
            found.tasks = self._lock_holders(primitive)
            if found.tasks:
                found.what += f", held by {names(found.tasks)}"
            elif issubclass(type(primitive), Lock) and primitive._holder:
                found.what += f", held by task {primitive._holder}, which has ended"
                found.abandoned = True
            found.owned = bool(found.tasks)
        elif kind == "semaphore":
            found.tasks = self.holders(primitive)
            found.every = False
            if found.tasks:
                found.what += f", held by {names(found.tasks)}"
            bound = getattr(primitive, "_bound_value", None)
            found.owned = bound is not None and len(found.tasks) == bound
        return found

    def _lock_holders(self, lock: Any) -> list[Any]:
        if issubclass(type(lock), Lock) and lock._holder:
            holder = self._task(lock._holder)
            return [] if holder is None else [holder]
        return self.holders(lock)

    def holders(self, primitive: Any) -> list[Any]:
        """The tasks that stand in an ``async with`` block of *primitive*; one twice that stands in two."""
        if self._holders is None:
            self._holders = {}
            for task in self._loop.live():
                held = [
                    entered._lock if issubclass(type(entered), _CONDITIONS) else entered
                    for entered in primitives_entered(task.get_coro())
                ]
                # Who waits for one stands in the block that he is about to enter.
                entering = _entered_soon(task) if held else None
                for index, primitive_held in enumerate(held):
                    if primitive_held is entering:
                        del held[index]
                        break
                for primitive_held in held:
                    self._holders.setdefault(id(primitive_held), []).append(task)
        return list(self._holders.get(id(primitive), ()))

    def _task(self, number: int) -> Any:
        if self._by_number is None:
            self._by_number = {task._number: task for task in live_tasks()}
        return self._by_number.get(number)

    # -- Futures

    def _of_future(self, future: Any, task: Any) -> Waiting:
        recognised = self._recognised(task)
        if recognised is not None:
            return recognised
        watched = self._watched.get(id(future))
        if watched is not None:
            fd, writing = watched
            kind = "writable" if writing else "readable"
            return Waiting(kind, f"descriptor {fd}", on=future, descriptor=fd, outside=True)
        sleep = _sleep_of(task)
        timer: Any = None if sleep is None else locals_of(sleep).get("h")
        own = type(timer) is Wakeup and timer._future is future
        due = timer._when - self._now if own else self._due_of(future)
        if due != _NEVER:
            return Waiting("timer", title(future) if sleep is None else "sleep", on=future, outside=True, due=due)
        children = getattr(future, "_children", None)
        if isinstance(children, list):
            return _on_several("gather", children, future)
        callbacks = getattr(future, "_callbacks", None)
        source = asyncio_waits.executor_future(callbacks)
        if source is not None:
            return self._of_thread(source)
        inner = _shielded(callbacks)
        if inner is not None:
            return _on_several("gather", [inner], future, what="shield of ")
        if isinstance(future, (Future, asyncio.Future)):
            return Waiting("future", title(future), on=future)
        return Waiting("unknown", title(future), on=future)

    def _recognised(self, task: Any) -> Waiting | None:
        """What a function of asyncio or hocket in which *task* stands tells of its wait; None: there is none."""
        found = None
        for awaiting in chain(task.get_coro()):
            if type(awaiting) is Leave:
                return _on_several("gather", list(awaiting._group._tasks), None, what="group of ")
            frame = frame_of(awaiting)
            kind = None if frame is None else asyncio_waits.kind_of(frame)
            # The outermost: a queue that waits for its event is a queue.  But who has been notified waits for a lock.
            if frame is None or kind is None or (found is not None and kind[0] != "lock"):
                continue
            value = asyncio_waits.value_of(kind[1], locals_of(frame))
            if value is not None:
                found = (kind[0], value, frame)
        return None if found is None else self._of_known(*found)

    def _of_known(self, kind: str, value: Any, frame: FrameType) -> Waiting | None:
        if kind in ("lock", "semaphore", "event", "condition", "barrier", "queue"):
            end = frame.f_code.co_qualname.rpartition(".")[2]
            return self.of_primitive(kind, value, _ENDS.get(end) if kind == "queue" else None)
        if kind == "reader":
            return _of_stream("readable", value, frame.f_code.co_qualname)
        if kind == "writer":
            return _of_stream("writable", value, frame.f_code.co_qualname)
        if kind == "process":
            pid = getattr(value, "_pid", None)
            return Waiting("process", f"process {pid}", on=value, outside=True)
        if kind == "lookup":
            what = f"the name lookup of {value!r}" if type(value) in (str, bytes) else "a name lookup"
            return Waiting("thread", what, outside=True)
        if kind == "one":
            return _on_one(value)
        if kind == "group":
            return _on_several("gather", list(value), None, what="group of ")
        if kind == "first":
            return _on_several("gather", list(value), None, every=False, what="first of ")
        first = locals_of(frame).get("return_when") == asyncio.FIRST_COMPLETED
        return _on_several("gather", list(value), None, every=not first, what="first of " if first else "")

    # -- Threads

    def _of_thread(self, source: Any) -> Waiting:
        if source is None:
            return Waiting("thread", "a call in a thread, which is over", outside=True)
        if self._calls is None:
            self._calls = _calls_in_threads()
        where = self._calls.get(id(source))
        if where is None:
            where = "a call in a thread, which has not begun" if not source.running() else "a call in a thread"
        return Waiting("thread", where, on=source, outside=True)


def _entered_soon(task: Any) -> Any:
    """The lock or semaphore for which *task* waits; None if it waits for something else.

    One whose turn has come, and that has not run since, is taken for one who holds it.
    """
    waiting = waited_for(task)
    if waiting is None:
        return None
    if isinstance(waiting, (AcquireLock, AcquireSemaphore)):
        return waiting._owner
    for frame in map(frame_of, chain(task.get_coro())):
        kind = None if frame is None else asyncio_waits.kind_of(frame)
        if frame is None or kind is None or kind[0] not in ("lock", "semaphore", "condition"):
            continue
        primitive = asyncio_waits.value_of(kind[1], locals_of(frame))
        return primitive._lock if kind[0] == "condition" else primitive
    if isinstance(waiting, (Notice, WaitForNotice)):
        return waiting._owner._lock
    return None


def _targets(item: Any) -> list[Any]:
    """The futures, waits and tasks that *item*, a timer or what is watched for a descriptor, will wake."""
    if item is None:
        return []
    for attribute in ("_sleep", "_future", "future"):
        target = getattr(item, attribute, None)
        if target is not None:
            return [target]
    timeout = getattr(item, "_timeout", None)
    if timeout is not None:
        return [timeout._task]
    callback = getattr(item, "_callback", None)
    owner = getattr(callback, "__self__", None)
    candidates = [owner, *(getattr(item, "_args", None) or ())]
    # `asyncio.Timeout`, `async_timeout` and aiohttp's timers have the tasks that they are for.
    if owner is not None and type(owner).__module__.partition(".")[0] in ("asyncio", "async_timeout", "aiohttp"):
        candidates.append(getattr(owner, "_task", None))
        candidates += getattr(owner, "_tasks", None) or ()
    return [candidate for candidate in candidates if isinstance(candidate, (Future, Wait, asyncio.Future))]


def _on_tasks(kind: str, what: str, on: Any, tasks: list[Any]) -> Waiting:
    return Waiting(kind, what, on=on, tasks=tasks, owned=True)


def _on_one(awaited: Any) -> Waiting:
    if is_task(awaited):
        return _on_tasks("task", f"task {name_of(awaited)}", awaited, [awaited])
    return Waiting("future", title(awaited), on=awaited)


def _on_several(kind: str, children: list[Any], on: Any, *, every: bool = True, what: str = "") -> Waiting:
    tasks: list[Any] = []
    futures: list[Any] = []
    # There may be ten thousand of them.
    for child in {id(child): child for child in children}.values():
        ours = type(child) is Task
        if (ours or is_future(child)) and not child.done():
            (tasks if ours or is_task(child) else futures).append(child)
    tasks.sort(key=number_of)
    pending = len(tasks) + len(futures)
    count = f"{pending} of {len(children)}" if pending < len(children) else f"{len(children)}"
    listed = f": {names(tasks)}" if tasks else ""
    return Waiting(kind, f"{what}{count}{listed}", on=on, tasks=tasks, futures=futures, every=every, owned=not futures)


def _shielded(callbacks: Any) -> Any:
    inner = asyncio_waits.shielded(callbacks)
    if inner is None:
        for callback, _ in callbacks or ():
            shield: Any = getattr(callback, "__self__", None)
            if type(shield).__name__ == "_Shield" and type(shield).__module__ == "hocket.primitives.gather":
                return shield._inner
    return inner


def _of_flow(wait: Any, owner: Any) -> Waiting | None:
    """The wait for a channel, a limiter, or the tasks of a stream such as `amap`."""
    kind = type(wait)
    if kind is Send or kind is Receive:
        channel = owner._channel
        return Waiting("channel", f"{'room' if kind is Send else 'an item'} of {title(channel)}", on=channel)
    if kind is AcquireToken:
        borrowers = list(owner._borrowers)
        tasks = [borrower for borrower in borrowers if is_task(borrower)]
        what = title(owner) + (f", held by {names(tasks)}" if tasks else "")
        owned = 0 < len(tasks) == len(borrowers)
        return Waiting("limiter", what, on=owner, tasks=tasks, every=False, owned=owned)
    if kind is Feed or kind is Room:
        return Waiting("channel", f"room for one more in {owner._title}")
    if kind is Next or kind is Close:
        crew = owner if kind is Close else owner._crew
        return _on_several("gather", list(crew._tasks), crew, every=kind is Close, what=f"{crew._title}, ")
    return None


def _of_stream(kind: str, stream: Any, what: str) -> Waiting:
    """The wait for a reader, or for a writer or its protocol."""
    transport = getattr(stream, "_transport", None)
    descriptor = None
    if transport is not None and type(transport).__module__.partition(".")[0] in ("hocket", "asyncio"):
        sock = transport.get_extra_info("socket")
        descriptor = sock.fileno() if sock is not None else None
        if descriptor is None:
            pipe = transport.get_extra_info("pipe")
            descriptor = pipe.fileno() if pipe is not None and not pipe.closed else None
    if descriptor is not None and descriptor < 0:
        descriptor = None
    # A reader that somebody feeds by hand has no transport: then it is anybody's turn.
    return Waiting(kind, what, on=stream, descriptor=descriptor, outside=transport is not None)


def _sleep_of(task: Any) -> FrameType | None:
    """The frame of the ``asyncio.sleep`` in which *task* stands; None if it stands elsewhere."""
    innermost = None
    for awaiting in chain(task.get_coro()):
        innermost = frame_of(awaiting) or innermost
    return innermost if innermost is not None and asyncio_waits.is_sleep(innermost) else None


#: Where a thread of `to_thread.run_sync` makes its call.
_WORK = Job.work.__code__


def _calls_in_threads() -> dict[int, str]:
    """Which calls the threads of pools make: the number of the future, and where the thread stands."""
    calls = {}
    threads = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, top in sys._current_frames().items():
        for frame in running_frames(top):
            source = frame.f_locals.get("self") if frame.f_code is _WORK else asyncio_waits.call_in(frame)
            if source is not None:
                name = threads.get(ident, str(ident))
                calls[id(source)] = f"a call in thread {name}, at {place_of(top)}"
                break
    return calls
