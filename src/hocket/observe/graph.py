"""Who waits for whom, and what follows from it: deadlocks, and tasks that nothing will ever wake.

A task that waits goes on if a timer, a descriptor, a thread or a process ends its wait, or another task that can go on
itself: the holder of a lock, the task that it awaits, all that a `gather` or a group waits for.  Tasks of which that
can not be said, and which only wait for each other, are a **deadlock**: it takes nothing but what is known for certain,
so there are no false alarms.

A task may also wait for something that has no owner: an event, a queue, a future.  If none of what may still run can
get at it (`hocket.observe.reach`), the task is **leaked**.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hocket.core import asyncio_waits, scheduler
from hocket.core.task import Task
from hocket.native.frames import line_of
from hocket.native.measure import now_in_ticks, ticks_per_second
from hocket.observe.facts import Place, WaitFacts
from hocket.observe.frames import chain, frame_of, held_by, place_in_program
from hocket.observe.reach import Reach
from hocket.observe.waits import Index, Waiting, name_of, number_of, waited_for
from hocket.primitives.locks import WaitForEvent
from hocket.primitives.queues import Join, Put
from hocket.primitives.sleep import Sleep
from hocket.primitives.stream_writer import Drain
from hocket.primitives.threads import Call, Held, Joined

#: After so many objects the search for leaked tasks is given up.
MOST_OBJECTS = 5_000_000


@dataclass(frozen=True, slots=True)
class Node:
    """A task in the graph: what it is, where it stands in the program, where it was made, and what it waits for.

    ``wakers`` are the numbers of the tasks that could end the wait, as far as they are known for certain; ``outside``
    says that a timer, a descriptor, a thread or a process will.  ``waited`` is for how many seconds it has waited.
    ``parent`` is the task that made it, 0: none did.  ``abandoned`` says that it waits for a lock whose holder has
    ended without giving it back.
    """

    number: int
    loop: int
    name: str
    state: str
    parent: int
    coroutine: str
    place: Place | None
    made_at: Place | None
    waits_on: WaitFacts | None
    wakers: tuple[int, ...]
    outside: bool
    waited: float
    steps: int
    abandoned: bool

    @property
    def doing(self) -> str:
        """Its state, or what it waits for, in words."""
        wait = self.waits_on
        if wait is None:
            return f"is {self.state}"
        return f"waits for {wait.kind}: {wait.what}, for {self.waited:.1f} s"

    def __str__(self) -> str:
        lines = [f"{self.name} ({self.coroutine}) {self.doing}"]
        if self.place is not None:
            lines.append(f"    at {self.place}")
        if self.made_at is not None:
            lines.append(f"    started at {self.made_at}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Deadlock:
    """Tasks each of which waits for the next, and the last for the first.  Only a cancellation ends that."""

    tasks: tuple[Node, ...]

    @property
    def key(self) -> frozenset[tuple[int, int]]:
        """The same for the same deadlock, whenever one looks."""
        return frozenset((task.number, task.steps) for task in self.tasks)

    def __str__(self) -> str:
        if len(self.tasks) == 1:
            return f"deadlock: a task waits for itself\n{_indented(self.tasks)}"
        return f"deadlock: {len(self.tasks)} tasks wait for each other\n{_indented(self.tasks)}"


@dataclass(frozen=True, slots=True)
class Leak:
    """A task that nothing that may still run can wake.  ``blocked`` are those that wait for it, or for one who does."""

    task: Node
    blocked: tuple[Node, ...]

    @property
    def key(self) -> frozenset[tuple[int, int]]:
        """The same for the same leak, whenever one looks."""
        return frozenset({(self.task.number, self.task.steps)})

    def __str__(self) -> str:
        text = f"leaked task: nothing can wake it any more\n{_indented([self.task])}"
        if self.blocked:
            text += "\n  and these wait for it: " + ", ".join(node.name for node in self.blocked)
        return text


@dataclass(frozen=True, slots=True)
class Graph:
    """Every task of hocket's loops, and who waits for whom.

    ``searched`` says whether leaked tasks were looked for to the end.
    """

    nodes: tuple[Node, ...]
    deadlocks: tuple[Deadlock, ...]
    leaks: tuple[Leak, ...]
    searched: bool

    def node(self, number: int) -> Node:
        """The task with this number; `KeyError` if there is none."""
        for node in self.nodes:
            if node.number == number:
                return node
        raise KeyError(f"no task has the number {number}")

    def waiting_for(self, number: int) -> tuple[Node, ...]:
        """The tasks that the one with this number keeps waiting."""
        return tuple(node for node in self.nodes if number in node.wakers)

    def __str__(self) -> str:
        return "\n".join(map(str, [*self.deadlocks, *self.leaks])) or "no deadlocks, no leaked tasks"


class Findings:
    """Deadlocks and leaks, each told once."""

    def __init__(self) -> None:
        self._told: set[frozenset[tuple[int, int]]] = set()

    def fresh(self, found: Graph | Iterable[Deadlock | Leak]) -> list[Deadlock | Leak]:
        """What of *found* has not been told yet.  What is no more is forgotten."""
        found = [*found.deadlocks, *found.leaks] if isinstance(found, Graph) else list(found)
        fresh = [finding for finding in found if finding.key not in self._told]
        self._told = {finding.key for finding in found}
        return fresh


def graph(*, leaks: bool = True, most_objects: int = MOST_OBJECTS) -> Graph:
    """Who waits for whom at this moment; from any thread, also while a loop is blocked.

    Deadlocks take a few microseconds a task.  With *leaks* all that the program holds is looked through, for which it
    stands still now and then: about half a second for a million objects, given up after *most_objects*::

        for deadlock in hocket.observe.graph(leaks=False).deadlocks:
            print(deadlock)
    """
    picture = Picture(scheduler.loops())
    stuck = picture.stuck()
    cycles = _cycles(stuck, picture.wakers)
    leaked, searched = picture.leaked(set().union(*cycles), most_objects) if leaks else ([], False)
    nodes = {number: picture.node(number) for number in picture.tasks}
    return Graph(
        tuple(nodes.values()),
        tuple(Deadlock(tuple(nodes[number] for number in cycle)) for cycle in cycles),
        tuple(
            Leak(nodes[number], tuple(nodes[other] for other in sorted(picture.blocked_by(number))))
            for number in leaked
        ),
        searched,
    )


def deadlocks(*, older_than: float = 1.0) -> tuple[Deadlock, ...]:
    """The deadlocks alone, among tasks that have waited longer than *older_than* seconds: for those who look often.

    It takes a microsecond for each task that cannot be part of one::

        findings = hocket.observe.Findings()
        for deadlock in findings.fresh(hocket.observe.deadlocks()):
            log.error("%s", deadlock)
    """
    before = now_in_ticks() - older_than * ticks_per_second()

    def may_be_part(task: Any, waiting: Any) -> bool:
        return type(waiting) not in _ENDED_FROM_OUTSIDE and not (isinstance(task, Task) and task.since > before)

    picture = Picture(scheduler.loops(), may_be_part)
    cycles = _cycles(picture.stuck(), picture.wakers)
    return tuple(Deadlock(tuple(map(picture.node, cycle))) for cycle in cycles)


#: What is waited for that no task has to end, or nobody knows which: no part of a deadlock.
_ENDED_FROM_OUTSIDE = frozenset({Sleep, Drain, Put, Join, Call, Joined, Held, WaitForEvent})


class Picture:
    """All tasks at one moment, with the objects themselves; to be dropped at once."""

    def __init__(self, loops: list[Any], wanted: Callable[[Any, Any], bool] = lambda task, waiting: True) -> None:
        # With *wanted*, some are treated as if they did not wait.
        self.loops = loops
        self.tasks: dict[int, Any] = {}
        self.waits: dict[int, Waiting] = {}
        self._loop_of: dict[int, int] = {}
        self._running: set[int] = set()
        self._waiters: dict[int, list[int]] | None = None
        self._now = now_in_ticks()
        self._rate = ticks_per_second()
        for loop in loops:
            index = Index(loop)
            self._running.add(id(loop.running()[0]))
            found = loop.live()
            while found:
                task = found.pop()
                number = number_of(task)
                if number in self.tasks or task.done():
                    continue
                self.tasks[number] = task
                self._loop_of[number] = loop._number
                waiting = waited_for(task)
                if waiting is None or not wanted(task, waiting):
                    continue
                wait = self.waits[number] = index.waiting(waiting, task)
                # Tasks of another class are not among the loop's.
                found += [other for other in wait.tasks if other.get_loop() is loop and number_of(other) < 0]
        self.tasks = dict(sorted(self.tasks.items()))

    def wakers(self, number: int) -> list[int]:
        """The tasks that could end the wait of the one with this number."""
        wait = self.waits.get(number)
        return [] if wait is None else [number_of(task) for task in wait.tasks]

    def node(self, number: int) -> Node:
        """The task with this number, to be kept."""
        task = self.tasks[number]
        wait = self.waits.get(number)
        coroutine = task.get_coro()
        ours = isinstance(task, Task)
        code = task._made_by_code if ours else None
        return Node(
            number=number,
            loop=self._loop_of[number],
            name=name_of(task),
            state="running" if id(task) in self._running else "ready" if wait is None else "waiting",
            parent=task._parent if ours else 0,
            coroutine=getattr(coroutine, "__qualname__", type(coroutine).__qualname__),
            place=place_in_program(coroutine),
            made_at=None if code is None else Place(code.co_filename, line_of(code, task._made_at), code.co_qualname),
            waits_on=None if wait is None else wait.facts(),
            wakers=tuple(self.wakers(number)),
            outside=wait is not None and wait.outside,
            waited=max(self._now - task.since, 0) / self._rate if ours and wait is not None else 0.0,
            steps=task._steps if ours else 0,
            abandoned=wait is not None and wait.abandoned,
        )

    # -- Deadlocks

    def stuck(self) -> set[int]:
        """The tasks that only each other could wake."""
        # Whoever is not known to be stuck can go on; whom that wakes can go on, too; and so forth.
        missing: dict[int, int] = {}
        waiters: dict[int, list[int]] = {}
        free = []
        for number in self.tasks:
            wait = self.waits.get(number)
            if wait is None or wait.outside or not wait.owned:
                free.append(number)
                continue
            wakers = set(self.wakers(number))
            if not wakers <= self.tasks.keys():
                free.append(number)  # of a loop of which nothing is known
                continue
            missing[number] = len(wakers) if wait.every else 1
            for waker in wakers:
                waiters.setdefault(waker, []).append(number)
            if not wakers:
                free.append(number)
        stuck = set(missing)
        while free:
            number = free.pop()
            stuck.discard(number)
            for waiter in waiters.pop(number, ()):
                missing[waiter] -= 1
                if missing[waiter] == 0:
                    free.append(waiter)
        return stuck

    # -- Leaks

    def leaked(self, deadlocked: set[int], most: int) -> tuple[list[int], bool]:
        """The tasks that nothing can wake any more, without those that only wait for such; and whether the search went
        to its end."""
        parts = {
            number: [part for part in chain(task.get_coro()) if frame_of(part) is not None]
            for number, task in self.tasks.items()
        }
        everything = [part for found in parts.values() for part in found]
        reach = Reach(self.loops, self.tasks.values(), everything, most)
        left = set(self.tasks)
        going = True
        while going and reach.complete:
            going = False
            for number in sorted(left):
                if self._goes_on(number, left, reach):
                    going = True
                    left.discard(number)
                    task = self.tasks[number]
                    context = getattr(task, "_context", None)
                    reach.add([value for part in parts[number] for value in held_by(part)] + [context])
        if not reach.complete:
            return [], False
        lost = [number for number in left - deadlocked if not self.waits[number].owned]
        return sorted(number for number in lost if not self._waits_for_the_end(number, left)), True

    def _goes_on(self, number: int, left: set[int], reach: Reach) -> bool:
        """Whether the task with this number may run again, as far as is known by now."""
        wait = self.waits.get(number)
        # Whoever can get at a task may cancel it.
        if wait is None or wait.outside or self.tasks[number] in reach:
            return True
        tasks = [number_of(task) not in left for task in wait.tasks]
        if wait.owned:
            return all(tasks) if wait.every else any(tasks)
        if wait.futures:
            ends = tasks + [future in reach for future in wait.futures]
            return all(ends) if wait.every else any(ends)
        return wait.on in reach or waited_for(self.tasks[number]) in reach or any(tasks)

    def _waits_for_the_end(self, number: int, left: set[int]) -> bool:
        """Whether it is the program's main task, which waits for nothing so that the others may run, until Ctrl-C."""
        task = self.tasks[number]
        if not asyncio_waits.is_main(task._callbacks) or self.waits[number].kind not in ("future", "event"):
            return False
        return len(left) < len(self.tasks) or any(loop.state().descriptors for loop in self.loops)

    def blocked_by(self, number: int) -> set[int]:
        """The tasks that wait for the one with this number, or for one who does."""
        if self._waiters is None:
            self._waiters = {}
            for waiter in self.waits:
                for waker in self.wakers(waiter):
                    self._waiters.setdefault(waker, []).append(waiter)
        found: set[int] = set()
        ends = [number]
        while ends:
            for waiter in self._waiters.get(ends.pop(), ()):
                if waiter not in found and waiter != number:
                    found.add(waiter)
                    ends.append(waiter)
        return found


def _cycles(stuck: set[int], wakers: Any) -> list[list[int]]:
    """The cycles among tasks that are *stuck*, in the order of who waits for whom; each from its least number on."""
    cycles: list[list[int]] = []
    visited: set[int] = set()
    for start in sorted(stuck):
        path: list[int] = []
        number = start
        while number not in visited:
            visited.add(number)
            path.append(number)
            # One who can go on is not what it waits for in vain.
            number = next(waker for waker in wakers(number) if waker in stuck)
        if number in path:
            cycle = path[path.index(number) :]
            first = cycle.index(min(cycle))
            cycles.append(cycle[first:] + cycle[:first])
    return cycles


def _indented(nodes: Iterable[Node]) -> str:
    return "\n".join("  " + line for node in nodes for line in str(node).splitlines())
