"""What the agent answers: one generator a request, which gives row after row.

A generator also gives numbers: for so many seconds there is nothing to do for it.  It gives 0.0 where it has worked for
a while, so that whoever drives it can let others go first; no call of it takes longer than a few milliseconds, whatever
the number of tasks, or it would hold the interpreter, and with it the loops that it tells of.
"""

from __future__ import annotations

import heapq
import itertools
import operator
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from hocket.core import scheduler
from hocket.core.task import Task
from hocket.native.measure import Histogram, ticks_per_second
from hocket.observe import recorder, waits
from hocket.observe.aside import in_a_thread
from hocket.observe.doctor import Doctor
from hocket.observe.facts import STATES
from hocket.observe.frames import stack_of
from hocket.observe.graph import deadlocks
from hocket.observe.primitives import look_for_primitives
from hocket.observe.protocol import Refusal
from hocket.observe.snapshot import histogram_facts, loop_facts, name_of, state_of, task_facts
from hocket.observe.wakers import look_for_wakers

#: A line of the answer, or for how many seconds there is nothing to do.
Part = dict[str, Any] | float

#: How many tasks are looked at in one go, and how many are told of.
_GLANCES = 1000
_ROWS = 32
#: How many who could wake a task are told of.
_WAKERS = 10
#: For how long a cancellation is waited for that a blocked loop does not come to deliver, in seconds; and one that has
#: nothing to do, but perhaps no processor.
_DELIVERY = 0.5
_DELIVERY_TO_IDLE = 3.0


# -- Tasks in an order

#: What tasks can be sorted by: a field of `TaskFacts`, and how to know it without making them.
_ORDERS: dict[str, Callable[[Any], Any]] = {
    "number": operator.attrgetter("_number"),
    "name": lambda task: _spoken(task._name, task._number),
    "loop": lambda task: task.get_loop()._number,
    "coroutine": lambda task: coroutine_of(task),
    "state": lambda task: STATES.index(state_of(task, task.get_loop().running()[0])),
    "since": lambda task: -task.since,
    "made_at": lambda task: _place_made(task),
    "parent": operator.attrgetter("_parent"),
    "waits_on": lambda task: _kind_of_wait(task),
    "stack": lambda task: _innermost(task),
    "steps": operator.attrgetter("_steps"),
    "wakes": lambda task: max(task._steps - task._yields - 1, 0),
    "yields": operator.attrgetter("_yields"),
    "run_time": operator.attrgetter("_ran"),
    "longest_step": operator.attrgetter("_longest"),
    "ready_delay": operator.attrgetter("_waited"),
    "longest_ready_delay": operator.attrgetter("_longest_wait"),
    "cancelling": lambda task: task.cancelling(),
}


def _spoken(name: Any, number: int) -> tuple[str, int]:
    # "Task-10" behind "Task-9".
    return ("Task-", number) if name is None else (str(name), 0)


def coroutine_of(task: Any) -> str:
    """The name of what *task* runs."""
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", None) or type(coroutine).__qualname__


def _place_made(task: Any) -> tuple[str, int]:
    code = task._made_by_code
    return ("", 0) if code is None else (code.co_filename, task._made_at)


def _innermost(task: Any) -> tuple[str, int]:
    stack = stack_of(task.get_coro())
    return (stack[-1].file, stack[-1].line) if stack else ("", 0)


def _kind_of_wait(task: Any) -> str:
    waiting = waits.waited_for(task)
    if waiting is None:
        return ""
    return type(getattr(waiting, "_owner", None) or waiting).__name__


def tasks(request: dict[str, Any]) -> Iterator[Part]:
    """``tasks``: those that are not done, as `TaskFacts`, in the order of a field of it.  With ``waited_for``, of the
    tasks for which one waits no more than so many are named."""
    order = _ORDERS.get(_text(request, "sort", "number"))
    if order is None:
        raise Refusal(f"tasks cannot be sorted by {request['sort']!r} (but by {', '.join(_ORDERS)})")
    descending = bool(request.get("descending", False))
    limit, offset = _count(request, "limit"), _count(request, "offset") or 0
    most = None if limit is None else offset + limit
    waited_for = _count(request, "waited_for")
    search = _text(request, "search", "").lower()
    states = _states(request)
    counted = dict.fromkeys(STATES[:3], 0)
    matching = 0
    chosen = _Chosen(order, descending, most)
    for loop in scheduler.loops():
        running = loop.running()[0]
        live = loop.live()
        for start in range(0, len(live), _GLANCES):
            found = _glance(live[start : start + _GLANCES], running, states, counted)
            if search:
                found = [task for task in found if matches(task, search)]
            matching += len(found)
            chosen.add(found)
            yield 0.0
    yield from _told(itertools.islice(chosen, offset, most), states, waited_for)
    yield {"end": {"total": sum(counted.values()), "matching": matching, "states": counted}}


_key = operator.itemgetter(0)


class _Chosen:
    """The first so many of all tasks in an order; the same ones first as in the list, where that does not tell.

    What is kept of many tasks are the tasks: as many tuples of them would set off the garbage collector, which would
    hold the interpreter for longer than all else.
    """

    def __init__(self, order: Callable[[Any], Any], descending: bool, most: int | None) -> None:
        self._order = order
        self._descending = descending
        self._most = most
        # Each behind what it is sorted by.
        self._best: list[tuple[Any, Any]] = []
        # When all are wanted: each run in order.
        self._runs: list[list[Any]] = []

    def add(self, tasks: list[Any]) -> None:
        """Add *tasks*, which are sorted in place: sorting all at once would hold the interpreter."""
        if self._most == 0:
            return
        tasks.sort(key=self._order, reverse=self._descending)
        if self._most is None:
            self._runs.append(tasks)
            return
        best = self._best
        worst = best[-1][0] if len(best) == self._most else None
        better = []
        for task in tasks[: self._most]:
            key = self._order(task)
            if worst is not None and not (key > worst if self._descending else key < worst):
                break
            better.append((key, task))
        if better:
            self._best = sorted(best + better, key=_key, reverse=self._descending)[: self._most]

    def __iter__(self) -> Iterator[Any]:
        if self._most is None:
            return heapq.merge(*self._runs, key=self._order, reverse=self._descending)
        return (task for _, task in self._best)


def _glance(live: list[Any], running: Any, states: frozenset[str], counted: dict[str, int]) -> list[Any]:
    """Those of *live* that are in one of *states*; all are *counted*.  (It is done for each task, twice a second.)"""
    waiting = []
    others = []
    for task in live:
        waiter = task._fut_waiter
        if waiter is None or task is running or waiter.done():
            others.append((task, state_of(task, running)))
        else:
            waiting.append(task)
    counted["waiting"] += len(waiting)
    found = waiting if "waiting" in states else []
    for task, state in others:
        if state != "done":
            counted[state] += 1
            if state in states:
                found.append(task)
    return found


def matches(task: Any, search: str) -> bool:
    """Whether the name of *task*, of its coroutine or of where it was made has *search* in it, which is lower case."""
    code = task._made_by_code
    return (
        search in name_of(task).lower()
        or search in coroutine_of(task).lower()
        or (code is not None and search in code.co_filename.lower())
    )


def _told(chosen: Iterator[Any], states: frozenset[str], waited_for: int | None) -> Iterator[Part]:
    rate = ticks_per_second()
    indices: dict[int, waits.Index] = {}
    for count, task in enumerate(chosen, 1):
        loop = task.get_loop()
        if loop._number not in indices:
            indices[loop._number] = waits.Index(loop)
            for _ in indices[loop._number].prepare():
                yield 0.0
        facts = task_facts(task, loop, loop.running()[0], indices[loop._number], rate)
        wait = facts.waits_on
        if wait is not None and waited_for is not None and len(wait.tasks) > waited_for:
            facts = replace(facts, waits_on=replace(wait, tasks=wait.tasks[:waited_for]))
        if facts.state in states:  # As it was a moment ago.
            yield {"row": facts}
        if count % _ROWS == 0:
            yield 0.0


def loops(_: dict[str, Any]) -> Iterator[Part]:
    """``loops``: those that are not closed, as `LoopFacts`."""
    rate = ticks_per_second()
    for loop in scheduler.loops():
        yield {"row": loop_facts(loop, rate)}
    yield {"end": {}}


def deadlocked(_: dict[str, Any]) -> Iterator[Part]:
    """``deadlocks``: tasks that wait for each other, as `hocket.observe.Deadlock`."""
    found = yield from in_a_thread(lambda: deadlocks(older_than=0.0))
    for deadlock in found:
        yield {"row": deadlock}
    yield {"end": {}}


def primitives(_: dict[str, Any]) -> Iterator[Part]:
    """``primitives``: those for which tasks wait, as `hocket.observe.PrimitiveFacts`."""
    for found in look_for_primitives():
        if found is None:
            yield 0.0
        else:
            yield {"row": found}
    yield {"end": {}}


def dump(request: dict[str, Any]) -> Iterator[Part]:
    """``dump``: write what the flight recorder has to a file.  Without a recorder, ``record`` says for how many seconds
    one is to run first."""
    path, seconds, record = request.get("path"), request.get("seconds"), request.get("record")
    if not isinstance(path, str) or not os.path.isabs(path):
        raise Refusal(f"path must be that of a file, from the root on, not {path!r}")
    for name, value in (("seconds", seconds), ("record", record)):
        if value is not None and (not isinstance(value, (int, float)) or not value > 0):
            raise Refusal(f"{name} must be a number of seconds, not {value!r}")
    running = recorder.current()
    if running is None:
        if record is None:
            raise Refusal(
                "this process has no flight recorder running: start it with hocket run --recorder, "
                "or say --record SECONDS to have one run for so long"
            )
        # Nothing but this request has it write anything.
        running = recorder.start(triggers=())
        try:
            yield float(record)
            written = yield from in_a_thread(lambda: _write(running, path, None))
        finally:
            if recorder.current() is running:
                recorder.stop()
    else:
        written = yield from in_a_thread(lambda: _write(running, path, seconds))
    yield {"row": written}
    yield {"end": {}}


def _write(running: recorder.Recorder, path: str, seconds: float | None) -> dict[str, Any]:
    try:
        running.dump(path, seconds=seconds, reason="hocket dump")
    except OSError as error:
        raise Refusal(f"the process cannot write {path}: {error.strerror or error}") from None
    ring = running.ring
    return {"path": path, "records": ring.written, "overwritten": ring.overwritten(), "bytes": os.path.getsize(path)}


# -- One task


def find(name: Any) -> tuple[Any, Any]:
    """The task that *name* is the number or the name of, and its loop."""
    everybody = [(loop, loop.live()) for loop in scheduler.loops()]
    number = name if isinstance(name, int) else int(name) if name.isdecimal() else 0
    found = [(task, loop) for loop, live in everybody for task in live if task._number == number]
    if not found and isinstance(name, str):
        made_up = int(name[5:]) if name.startswith("Task-") and name[5:].isdecimal() else 0
        found = [
            (task, loop)
            for loop, live in everybody
            for task in live
            if task._name == name or (task._number == made_up and task._name is None)
        ]
    if not found:
        raise Refusal(f"there is no task {name!r} (any more)")
    if len(found) > 1:
        numbers = ", ".join(str(task._number) for task, _ in found[:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise Refusal(f"{len(found)} tasks have the name {name!r}: give a number, {numbers}{more}")
    return found[0]


class Asking:
    """What one client asks.  It keeps what the client looks at from one request to the next."""

    def __init__(self, allow_control: bool) -> None:
        self._allow_control = allow_control
        self._watched: Any = None
        doctor = Doctor()
        self._answers: dict[str, Callable[[dict[str, Any]], Iterator[Part]]] = {
            "tasks": tasks,
            "loops": loops,
            "task": self._task,
            "deadlocks": deadlocked,
            "primitives": primitives,
            "dump": dump,
            "cancel": self._cancel,
            "look": doctor.look,
            "troubles": doctor.troubles,
        }

    def answer(self, request: dict[str, Any]) -> Iterator[Part]:
        """The answer to *request*.  `ValueError` if it is no request at all, `Refusal` if nobody knows the answer."""
        verb = request.get("do")
        if not isinstance(verb, str):
            raise ValueError('expected a request, {"do": ...}')
        if verb not in self._answers:
            raise Refusal(f"expected one of {', '.join(self._answers)}, got {verb!r}")
        return self._answers[verb](request)

    def end(self) -> None:
        """The client has gone: nobody looks at what it looked at."""
        self._watch(None)

    def _watch(self, task: Any) -> None:
        if self._watched is not None and self._watched is not task:
            self._watched._histograms = None
        self._watched = task
        # Another client that looks at it too may have stopped.
        if task is not None and task._histograms is None:
            task._histograms = (Histogram(), Histogram())

    def _task(self, request: dict[str, Any]) -> Iterator[Part]:
        """``task``: one task, by number or name; with ``watch``, histograms from now on; with ``wakers``, who could
        wake it, for which so many seconds are spent at most."""
        task, loop = find(_task_named(request))
        rate = ticks_per_second()
        index = waits.Index(loop)
        for _ in index.prepare():
            yield 0.0
        row: dict[str, Any] = {
            "task": task_facts(task, loop, loop.running()[0], index, rate),
            "histograms": None,
            "wakers": None,
            "searched": None,
        }
        if request.get("watch"):
            self._watch(task)
            step_times, ready_delays = task._histograms or (Histogram(), Histogram())
            row["histograms"] = {
                "step_times": histogram_facts(step_times, rate),
                "ready_delays": histogram_facts(ready_delays, rate),
            }
        seconds = request.get("wakers")
        if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
            wakers: list[Any] = []
            row["wakers"], row["searched"] = wakers, True
            until = time.monotonic() + seconds
            wait = row["task"].waits_on
            # Nobody but its timer ends a sleep.
            for waker in look_for_wakers(
                task, loop, index, 1 if wait is not None and wait.kind == "timer" else _WAKERS
            ):
                if waker is not None:
                    wakers.append(waker)
                elif time.monotonic() > until:
                    row["searched"] = False
                    break
                else:
                    yield 0.0
        yield {"row": row}
        yield {"end": {}}

    def _cancel(self, request: dict[str, Any]) -> Iterator[Part]:
        """``cancel``: cancel one task, if the process allows that."""
        if not self._allow_control:
            raise Refusal(
                "this process does not allow that its tasks are cancelled from outside: "
                "start it with hocket run --observe --allow-control, or HOCKET_OBSERVE=control"
            )
        task, loop = find(_task_named(request))
        message = request.get("message")
        delivered = threading.Event()
        accepted: list[bool] = []

        def deliver() -> None:
            accepted.append(task.cancel() if message is None else task.cancel(message))
            delivered.set()

        try:
            loop.call_soon_threadsafe(deliver)
        except RuntimeError as error:
            raise Refusal(f"the loop of task {task._number} has ended: {error}") from None
        asked = time.monotonic()
        while not delivered.is_set():
            patience = _DELIVERY_TO_IDLE if loop.running()[0] is None else _DELIVERY
            if time.monotonic() >= asked + patience:
                break
            yield 0.005
        running = loop.running()[0]
        yield {
            "row": {
                "number": task._number,
                "name": name_of(task),
                "delivered": bool(accepted),
                "accepted": accepted[0] if accepted else None,
                "blocked_by": name_of(running) if not accepted and isinstance(running, Task) else None,
            }
        }
        yield {"end": {}}


def _text(request: dict[str, Any], name: str, default: str) -> str:
    value = request.get(name, default)
    if not isinstance(value, str):
        raise Refusal(f"{name} must be a string, not {value!r}")
    return value


def _task_named(request: dict[str, Any]) -> str | int:
    name = request.get("task")
    if not isinstance(name, (str, int)):
        raise Refusal(f"task must be a number or a name, not {name!r}")
    return name


def _states(request: dict[str, Any]) -> frozenset[str]:
    states = request.get("states")
    if states is None:
        return frozenset(STATES)
    if not isinstance(states, list) or not set(states) <= set(STATES):
        raise Refusal(f"states must be some of {', '.join(STATES)}, not {states!r}")
    return frozenset(states)


def _count(request: dict[str, Any], name: str) -> int | None:
    value = request.get(name)
    if value is not None and (not isinstance(value, int) or value < 0):
        raise Refusal(f"{name} must be a whole number, not {value!r}")
    return value
