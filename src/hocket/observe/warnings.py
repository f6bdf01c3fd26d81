"""Trouble, and by what one knows it: what `hocket doctor` and `hocket top` warn of.

A warning has a name and a threshold (see ``lints.py``).  Each is found by one function here, from two looks at the
program some time apart; one look is enough for most.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hocket.observe.blockage import Blockage, own_place
from hocket.observe.facts import HistogramFacts, LoopFacts, Place, TaskFacts
from hocket.observe.lints import LINTS, Rules
from hocket.observe.looks import Look
from hocket.observe.words import duration

__all__ = ["LINTS", "Rules", "Trouble", "troubles"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong.  ``name`` is that of the warning, and ``what`` says it in a sentence.

    ``evidence`` is what was seen, in lines; ``tasks`` are the numbers of those whom it is about; ``place`` is where to
    look in the program; ``next`` is the command, or the change, to go on with.  ``value`` is what was compared with the
    threshold, in the same unit.
    """

    name: str
    what: str
    evidence: tuple[str, ...]
    tasks: tuple[int, ...]
    place: Place | None
    next: str
    value: float

    @property
    def weight(self) -> float:
        """The worse it is, the more."""
        lint = LINTS[self.name]
        excess = self.value / lint.threshold if lint.threshold else 1.0
        return lint.weight + min(max(excess - 1.0, 0.0), 9.0)


def troubles(before: Look | None, now: Look, rules: Rules | None = None) -> list[Trouble]:
    """What is wrong *now*, the worst first; *before* is an earlier look at the same process, if there was one."""
    rules = Rules() if rules is None else rules
    found: list[Trouble] = []
    for name, find in _FINDERS.items():
        threshold = rules.threshold(name)
        if threshold is not None:
            found += find(before, now, threshold)
    # What the watchdog has explained need not be told again by its length.
    explained = {number for trouble in found if trouble.name == "blocked-loop" for number in trouble.tasks}
    found = [trouble for trouble in found if trouble.name != "long-step" or not explained.intersection(trouble.tasks)]
    return sorted(found, key=lambda trouble: -trouble.weight)


def _tasks(look: Look | None) -> dict[int, TaskFacts]:
    return {} if look is None else {task.number: task for task in look.snapshot.tasks}


def _loops(look: Look | None) -> dict[int, LoopFacts]:
    return {} if look is None else {loop.number: loop for loop in look.snapshot.loops}


def _place(task: TaskFacts) -> Place | None:
    return own_place(task.stack) or task.made_at


# -- Loops that do not go on


def blocked_loop(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``blocked-loop``: what the watchdog has reported; and, without one, what runs at this moment."""
    places: dict[tuple[Place | None, str], list[Blockage]] = collections.defaultdict(list)
    for blockage in now.blockages:
        if blockage.seconds >= threshold:
            places[blockage.where, blockage.cause].append(blockage)
    told = {blockage.loop for blockage in now.blockages if not blockage.over}
    for (place, cause), found in places.items():
        if cause == "starved-machine" and len(found) < 3:
            continue  # A machine that was busy for once is nobody's fault.
        worst = max(found, key=lambda blockage: blockage.seconds)
        lasts = not all(blockage.over for blockage in found)
        whole = sum(blockage.seconds for blockage in found)
        yield Trouble(
            "blocked-loop",
            str(worst),
            (
                f"{len(found)} times, {duration(whole)} in all, {duration(worst.seconds)} at most",
                *(f"{share:.0%} {what}" for what, share in worst.shares),
                *([f"at {place}" for place in reversed(worst.stack)][:5]),
            ),
            tuple(sorted({blockage.task for blockage in found if blockage.task})),
            place,
            _REMEDIES[cause] if not lasts or not worst.task else f"hocket where {worst.task} {now.snapshot.process}",
            worst.seconds,
        )
    for loop in now.snapshot.loops:
        if loop.running_for >= threshold and loop.number not in told:
            task = _tasks(now).get(loop.running)
            who = "a callback" if task is None else f"task {task.name!r}"
            yield Trouble(
                "blocked-loop",
                f"{who} has been blocking loop {loop.number} for {duration(loop.running_for)}",
                (),
                () if task is None else (task.number,),
                None if task is None else _place(task),
                f"hocket where {loop.running} {now.snapshot.process}" if task else "HOCKET_BLOCKED_AFTER=0.1",
                loop.running_for,
            )


_REMEDIES = {
    "python": "hocket record SCRIPT, or compute in a process: loop.run_in_executor(ProcessPoolExecutor(), ...)",
    "blocking-call": "call it in a thread: await asyncio.to_thread(...), or use what can be awaited in its place",
    "garbage-collector": "gc.freeze() after start-up, or fewer objects that refer to each other in circles",
    "interpreter-lock": "move what the other thread computes into a process",
    "starved-machine": "see what else runs on this machine: top, cat /proc/pressure/cpu",
}


def never_yields(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``never-yields``: a task in its first step, which does not end."""
    tasks = _tasks(now)
    for loop in now.snapshot.loops:
        task = tasks.get(loop.running)
        if task is not None and task.steps == 0 and loop.running_for >= threshold:
            yield Trouble(
                "never-yields",
                f"task {task.name!r} has run for {duration(loop.running_for)} and not waited for anything yet",
                (f"runs {task.coroutine}, made at {task.made_at}",),
                (task.number,),
                _place(task),
                f"hocket where {task.number} {now.snapshot.process}",
                loop.running_for,
            )


def long_step(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``long-step``: the longest step of a task, or that of a loop whose task has ended."""
    known = set()
    for task in now.snapshot.tasks:
        if task.longest_step >= threshold:
            known.add(task.name)
            yield Trouble(
                "long-step",
                f"a step of task {task.name!r} took {duration(task.longest_step)}",
                (f"runs {task.coroutine}: {task.steps:,} steps in {duration(task.run_time)}",),
                (task.number,),
                _place(task),
                "HOCKET_BLOCKED_AFTER=0.1 names the line while it runs",
                task.longest_step,
            )
    for loop in now.snapshot.loops:
        name = loop.longest_step_task
        if loop.longest_step >= threshold and name is not None and name not in known:
            yield Trouble(
                "long-step",
                f"a step of {name}, which has ended, took {duration(loop.longest_step)}",
                () if loop.longest_step_where is None else (f"at {loop.longest_step_where}",),
                (),
                None,
                "HOCKET_BLOCKED_AFTER=0.1 names the line while it runs",
                loop.longest_step,
            )


def sched_delay(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``sched-delay``: the 99th percentile of the time that steps are ready before they run, since the last look."""
    earlier = _loops(before)
    for loop in now.snapshot.loops:
        previous = earlier.get(loop.number)
        delays = loop.ready_delays if previous is None else _since(previous.ready_delays, loop.ready_delays)
        if delays.count < 100 or delays.quantile(0.99) < threshold:
            continue
        busiest = sorted(
            (task for task in now.snapshot.tasks if task.loop == loop.number), key=lambda one: -one.run_time
        )
        yield Trouble(
            "sched-delay",
            f"a step in a hundred of loop {loop.number} is ready for {duration(delays.quantile(0.99))} before it runs",
            (
                f"half of them {duration(delays.quantile(0.5))}, at most {duration(delays.greatest)}, "
                f"of {delays.count:,} steps; {loop.ready:,} are ready now, the loop is busy {loop.utilization:.0%}",
                *(f"task {task.name!r} has run for {duration(task.run_time)}" for task in busiest[:3]),
            ),
            tuple(task.number for task in busiest[:3]),
            None,
            f"hocket ps --sort run --reverse {now.snapshot.process}",
            delays.quantile(0.99),
        )


def _since(before: HistogramFacts, now: HistogramFacts) -> HistogramFacts:
    """What *now* has counted since *before*."""
    earlier = dict(zip(before.bounds, before.counts, strict=False))
    counts = tuple(max(count - earlier.get(bound, 0), 0) for bound, count in zip(now.bounds, now.counts, strict=False))
    return HistogramFacts(now.bounds, counts, sum(counts), max(now.sum - before.sum, 0.0), now.greatest)


# -- Tasks that do not end


def await_cycle(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``await-cycle``: a deadlock."""
    for deadlock in () if now.graph is None else now.graph.deadlocks:
        waited = min(task.waited for task in deadlock.tasks)
        if waited >= threshold:
            head, *lines = str(deadlock).splitlines()
            yield Trouble(
                "await-cycle",
                head,
                tuple(line[2:] for line in lines),
                tuple(task.number for task in deadlock.tasks),
                deadlock.tasks[0].place,
                "acquire locks in the same order everywhere; "
                f"hocket cancel {deadlock.tasks[0].number} {now.snapshot.process} ends it for now",
                waited,
            )


def task_leak(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``task-leak``: a task that nothing can wake."""
    for leak in () if now.graph is None else now.graph.leaks:
        if leak.task.waited >= threshold:
            _, *lines = str(leak).splitlines()
            yield Trouble(
                "task-leak",
                f"task {leak.task.name!r} can not be woken by anything any more",
                tuple(line[2:] for line in lines),
                (leak.task.number, *(task.number for task in leak.blocked)),
                leak.task.place or leak.task.made_at,
                f"hocket where {leak.task.number} {now.snapshot.process}",
                leak.task.waited,
            )


def lock_held_at_exit(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``lock-held-at-exit``: nobody is there who could release it."""
    for lock in now.locks:
        waiting = f"{', '.join(lock.waiters[:3])} wait for it" if lock.waiters else "nobody waits for it yet"
        yield Trouble(
            "lock-held-at-exit",
            f"{lock.title} is held by task {lock.holder}, which has ended",
            (waiting if len(lock.waiters) != 1 else f"{lock.waiters[0]} waits for it",),
            (lock.holder,),
            None,
            "hold locks with `async with`, which releases them whatever happens",
            0.0,
        )


def cancel_swallowed(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``cancel-swallowed``: a task that was cancelled and goes on."""
    earlier = _tasks(before)
    for task in now.snapshot.tasks:
        if not _goes_on(task):
            continue
        previous = earlier.get(task.number)
        seconds = task.since if task.state == "waiting" else 0.0
        # As many recoveries: it was not cancelled anew, as one is that has a short time limit in a loop.
        same = previous is not None and _goes_on(previous) and previous.recoveries == task.recoveries
        if before is not None and same:
            seconds = max(seconds, now.time - before.time)
        if seconds >= threshold:
            count = task.cancelling or task.interruptions
            times = "once" if count == 1 else f"{count} times"
            if not task.cancelling:
                times = f"with a scope ({task.cancelled}), interrupted {times},"
            waits = "" if task.waits_on is None else f", and waits for {task.waits_on.kind}: {task.waits_on.what}"
            yield Trouble(
                "cancel-swallowed",
                f"task {task.name!r} was cancelled {times} and is there {duration(seconds)} later",
                (f"is {task.state} for {duration(task.since)}{waits}",),
                (task.number,),
                _place(task),
                "let CancelledError pass (except Exception does, a bare except does not); "
                f"hocket where {task.number} {now.snapshot.process}",
                seconds,
            )


def _goes_on(task: TaskFacts) -> bool:
    """Whether it was cancelled.  Inside of a scope it may clean up when it is interrupted for the first time."""
    return task.cancelling > 0 or (task.cancelled is not None and task.interruptions > 1)


# -- Too much of something


def queue_growth(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``queue-growth``: a queue that nothing bounds, larger than ever, and larger than at the last look."""
    earlier = {} if before is None else {queue.key: queue for queue in before.queues}
    for queue in now.queues:
        previous = earlier.get(queue.key)
        if queue.maxsize or queue.size < threshold or queue.size < queue.most * 0.9:
            continue
        if before is not None and (previous is None or queue.size <= previous.size):
            continue
        grown = "" if previous is None else f", {queue.size - previous.size:,} more than a moment ago"
        yield Trouble(
            "queue-growth",
            f"{queue.title} holds {queue.size:,} items{grown}, and has no bound",
            (f"it has never been fuller: {queue.most:,} items",),
            (),
            None,
            "give it a maxsize, so that put() waits, or more tasks that get()",
            float(queue.size),
        )


def timer_storm(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``timer-storm``: timers that are due, a second; or far more of them than tasks."""
    earlier = _loops(before)
    for loop in now.snapshot.loops:
        previous = earlier.get(loop.number)
        fired = 0 if previous is None else loop.lags.count - previous.lags.count
        elapsed = loop.active + loop.idle - (0.0 if previous is None else previous.active + previous.idle)
        rate = fired / elapsed if previous is not None and elapsed > 0.1 else 0.0
        many = loop.timers >= threshold and loop.timers > 10 * max(loop.tasks, 1)
        if rate < threshold and not many:
            continue
        yield Trouble(
            "timer-storm",
            f"{rate:,.0f} timers a second are due on loop {loop.number}"
            if not many
            else f"loop {loop.number} has {loop.timers:,} timers and {loop.tasks:,} tasks",
            (f"{loop.timers:,} timers are set, {loop.tasks:,} tasks are there",),
            (),
            None,
            f"hocket ps --sort wakes --reverse {now.snapshot.process}",
            max(rate, float(loop.timers) if many else 0.0),
        )


def self_wakes(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``self-wakes``: a task whose steps mostly end with a bare yield, a thousand times a second or more."""
    earlier = _tasks(before)
    loops = _loops(now)
    for task in now.snapshot.tasks:
        previous = earlier.get(task.number)
        yields = task.yields - (0 if previous is None else previous.yields)
        steps = task.steps - (0 if previous is None else previous.steps)
        if before is not None:
            elapsed = now.time - before.time
        else:
            elapsed = loops[task.loop].active + loops[task.loop].idle if task.loop in loops else 0.0
        # Who does so now and then lets others run, which is fine.
        if yields >= max(100.0, 1000.0 * elapsed) and yields / steps >= threshold:
            yield Trouble(
                "self-wakes",
                f"task {task.name!r} wakes itself in {yields / steps:.0%} of its steps",
                (f"{yields:,} of {steps:,} steps ended with sleep(0), in {duration(task.run_time)} of running",),
                (task.number,),
                _place(task),
                "wait for what is to happen (Event, Condition, Queue) in place of asking for it again and again",
                yields / steps,
            )


def never_retrieved(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``never-retrieved``: as asyncio logs it."""
    yield from _mishaps(now, "never-retrieved", threshold, "exceptions were never retrieved", "await every task")


def never_awaited(before: Look | None, now: Look, threshold: float) -> Iterator[Trouble]:
    """``never-awaited``: as Python warns of it."""
    yield from _mishaps(now, "never-awaited", threshold, "coroutines were never awaited", "PYTHONASYNCIODEBUG=1")


def _mishaps(now: Look, name: str, threshold: float, what: str, remedy: str) -> Iterator[Trouble]:
    found = [mishap for mishap in now.mishaps if mishap.name == name]
    if found and len(found) >= threshold:
        more = f", and {now.more_mishaps:,} more mishaps" if now.more_mishaps else ""
        yield Trouble(
            name,
            f"{len(found)} {what}{more}",
            tuple(mishap.message for mishap in found[-5:]),
            (),
            found[-1].place,
            remedy,
            float(len(found)),
        )


_FINDERS: dict[str, Callable[[Look | None, Look, float], Iterator[Trouble]]] = {
    "await-cycle": await_cycle,
    "blocked-loop": blocked_loop,
    "never-yields": never_yields,
    "lock-held-at-exit": lock_held_at_exit,
    "task-leak": task_leak,
    "cancel-swallowed": cancel_swallowed,
    "queue-growth": queue_growth,
    "sched-delay": sched_delay,
    "long-step": long_step,
    "timer-storm": timer_storm,
    "self-wakes": self_wakes,
    "never-retrieved": never_retrieved,
    "never-awaited": never_awaited,
}
