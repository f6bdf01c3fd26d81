"""Who could wake a task: what an engineer asks who has found one that waits.

Of a lock, of other tasks and of all that comes from outside that is known.  Of an event, a queue or a future nobody
keeps it; but who could set it, feed it or resolve it must be able to get at it: a task in whose local variables it is,
or one of their attributes, and a timer or a handle with it among its arguments.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from hocket.core import scheduler
from hocket.observe.frames import chain, frame_of, locals_of, names_in_use, place_of
from hocket.observe.waits import Index, Waiting, is_kind_of_task, name_of, number_of, waited_for

#: How far one looks into a variable, and at how much of it.
_DEPTH = 3
_BREADTH = 200
#: After so many tasks `look_for_wakers` lets others go first.
_PIECE = 100


@dataclass(frozen=True, slots=True)
class Waker:
    """One who could end a wait: the number of the task (0: it is none), its name, and how it could."""

    task: int
    name: str
    how: str

    def __str__(self) -> str:
        return f"{self.name} {self.how}" if self.name else self.how


def wakers(number: int, *, most: int = 10) -> tuple[Waker, ...]:
    """Who could wake the task with this number: at most *most* of them, the certain ones first.

    An empty tuple: it does not wait, or nobody was found.  `KeyError` if there is no such task::

        for waker in hocket.observe.wakers(task.number):
            print(waker)
    """
    for loop in scheduler.loops():
        for task in loop.live():
            if task._number == number:
                return tuple(found for found in look_for_wakers(task, loop, Index(loop), most) if found is not None)
    raise KeyError(f"no task has the number {number}")


def look_for_wakers(task: Any, loop: Any, index: Index, most: int) -> Iterator[Waker | None]:
    """`wakers` of a *task* of *loop*, of which *index* is the index; in between, where it has worked for a while, None,
    for those who must not work for long at a stretch."""
    waiting = waited_for(task)
    if waiting is None:
        return
    wait = index.waiting(waiting, task)
    count = 0
    for found in _wakers(task, loop, wait, waiting):
        yield found
        if found is not None:
            count += 1
            if count == most:
                return


def _wakers(task: Any, loop: Any, wait: Waiting, waiting: Any) -> Iterator[Waker | None]:
    yield from _from_outside(wait)
    how = {"task": "is awaited", "gather": "is awaited"}.get(wait.kind, "holds it")
    for other in wait.tasks:
        yield Waker(number_of(other), name_of(other), how)
    if wait.owned:
        return
    sought = {id(thing) for thing in (wait.on, waiting, *wait.futures) if thing is not None}
    yield from _by_timer(loop, sought)
    known = {id(other) for other in (task, *wait.tasks)}
    for count, other in enumerate(loop.live(), 1):
        if id(other) not in known:
            yield from _by_variable(other, sought)
        if count % _PIECE == 0:
            yield None


def _from_outside(wait: Waiting) -> Iterator[Waker]:
    if wait.due is not None:
        yield Waker(0, "", f"a timer, in {wait.due:.3f} s" if wait.due >= 0 else f"a timer, due {-wait.due:.3f} s ago")
    if wait.descriptor is not None:
        yield Waker(0, "", f"descriptor {wait.descriptor}, when it is {wait.kind}")
    elif wait.kind in ("thread", "process"):
        yield Waker(0, "", wait.what)


def _by_timer(loop: Any, sought: set[int]) -> Iterator[Waker | None]:
    now = loop.time()
    for count, timer in enumerate(loop._scheduled.snapshot(), 1):
        callback = getattr(timer, "_callback", None)
        for thing in (callback, getattr(callback, "__self__", None), *(getattr(timer, "_args", None) or ())):
            if id(thing) in sought:
                yield Waker(0, "", f"a timer, in {timer._when - now:.3f} s")
                break
        if count % (_PIECE * 10) == 0:
            yield None
    for item in loop.upcoming():
        callback = getattr(item, "_callback", None)
        if id(getattr(callback, "__self__", None)) in sought:
            yield Waker(0, "", "a callback that is ready to run")


def _by_variable(task: Any, sought: set[int]) -> Iterator[Waker]:
    for part in chain(task.get_coro()):
        frame = frame_of(part)
        if frame is None:
            continue
        in_use = names_in_use(frame)
        for name, value in locals_of(frame).items():
            steps = _steps_to(value, sought) if name in in_use else None
            if steps is not None:
                has = f"has it in `{name}`" if steps == 0 else f"can get at it through `{name}`"
                yield Waker(number_of(task), name_of(task), f"{has}, at {place_of(frame)}")
                return


def _steps_to(value: Any, sought: set[int]) -> int | None:
    """How many steps away from *value* what is *sought* lies; None: it was not found nearby."""
    level = [value]
    for steps in range(_DEPTH):
        if any(id(thing) in sought for thing in level):
            return steps
        inner = [thing for thing in level if not _leads_elsewhere(type(thing))]
        level = gc.get_referents(*inner)[:_BREADTH]
    return None


def _leads_elsewhere(kind: Any) -> bool:
    return issubclass(kind, (type, ModuleType, FunctionType, scheduler.Scheduler)) or is_kind_of_task(kind)
