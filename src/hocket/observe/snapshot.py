"""Everything at one moment: what `hocket.observe.snapshot` returns, read out of the loops and tasks themselves."""

from __future__ import annotations

import os
import sys
import time
from types import CodeType
from typing import Any

from hocket.core import scheduler
from hocket.core.cancellation import told
from hocket.core.task import Task
from hocket.native.frames import line_of
from hocket.native.measure import BUCKETS, Histogram, lower_bound, now_in_ticks, ticks_per_second
from hocket.observe import waits
from hocket.observe.facts import HistogramFacts, LoopFacts, Place, Snapshot, TaskFacts
from hocket.observe.frames import stack_of


def snapshot() -> Snapshot:
    """What all loops of this process and their tasks are doing; from any thread, also while a loop is blocked.

    Nothing stops for it: what it says of two tasks may be a moment apart.  It costs a few microseconds a task::

        for task in hocket.observe.snapshot().tasks:
            print(task.name, task.state, task.waits_on)
    """
    rate = ticks_per_second()
    loops = []
    tasks: list[TaskFacts] = []
    for loop in scheduler.loops():
        loops.append(loop_facts(loop, rate))
        index = waits.Index(loop)
        running = loop.state().running
        tasks += [task_facts(task, loop, running, index, rate) for task in loop.live()]
    return Snapshot(time.time(), os.getpid(), tuple(loops), tuple(tasks))


def loop_facts(loop: Any, rate: float) -> LoopFacts:
    """What is so of *loop*; *rate* is how many ticks a second has."""
    done, state = loop.statistics(), loop.state()
    running = getattr(state.running, "_number", 0)
    return LoopFacts(
        number=loop._number,
        thread=state.thread,
        turns=done.turns,
        steps=done.steps,
        callbacks=done.callbacks,
        ready=state.ready,
        tasks=state.tasks,
        tasks_started=done.tasks_started,
        tasks_finished=done.tasks_finished,
        tasks_failed=done.tasks_failed,
        tasks_cancelled=done.tasks_cancelled,
        timers=state.timers,
        descriptors=state.descriptors,
        bytes_received=done.bytes_received,
        bytes_sent=done.bytes_sent,
        connections_accepted=done.connections_accepted,
        connections_opened=done.connections_opened,
        connections_closed=done.connections_closed,
        active=done.busy,
        idle=done.idle,
        longest_step=done.longest_step,
        longest_step_task=done.longest_step_task,
        longest_step_where=done.longest_step_where,
        running=running,
        running_for=state.running_for,
        waiting_for=state.waiting_for,
        step_times=histogram_facts(loop.step_times, rate),
        ready_delays=histogram_facts(loop.ready_delays, rate),
        lags=histogram_facts(loop.lags, 1e9),
        polls=histogram_facts(loop.polls, rate),
    )


def histogram_facts(histogram: Histogram, rate: float) -> HistogramFacts:
    """What *histogram* has counted, in seconds; it counts in units of which a second has *rate*."""
    counts = histogram.counts()
    used = [index for index, count in enumerate(counts) if count]
    first, last = (used[0], used[-1] + 1) if used else (0, 0)
    return HistogramFacts(
        bounds=tuple(lower_bound(min(index, BUCKETS - 1)) / rate for index in range(first, last + 1)),
        counts=tuple(counts[first:last]),
        count=sum(counts),
        sum=histogram.sum / rate,
        greatest=histogram.greatest / rate,
    )


def state_of(task: Any, running: Any) -> str:
    """What *task* is doing, on whose loop *running* runs."""
    if task is running:
        return "running"
    if waits.waited_for(task) is not None:
        return "waiting"
    return "done" if task.done() else "ready"


def name_of(task: Any) -> str:
    """The task's name.  (Not `get_name`, which keeps the one that it makes up: to look must leave no trace.)"""
    name = task._name
    return f"Task-{task._number}" if name is None else str(name)


def task_facts(task: Any, loop: Any, running: Any, index: waits.Index, rate: float) -> TaskFacts:
    """What is so of *task*, one of *loop*, on which *running* runs."""
    waiting = waits.waited_for(task)
    state = state_of(task, running)
    ours = isinstance(task, Task)
    code: CodeType | None = task._made_by_code if ours else None
    coroutine = task.get_coro()
    cancelled, interruptions = told(task) if ours else (None, 0)
    return TaskFacts(
        number=task._number,
        name=name_of(task),
        loop=loop._number,
        coroutine=getattr(coroutine, "__qualname__", type(coroutine).__qualname__),
        state=state,
        since=seconds_since(task, rate),
        made_at=None if code is None else Place(code.co_filename, line_of(code, task._made_at), code.co_qualname),
        parent=task._parent,
        waits_on=index.describe(waiting, task) if state == "waiting" else None,
        stack=running_stack(coroutine, loop) if state == "running" else stack_of(coroutine),
        steps=task._steps,
        wakes=max(task._steps - task._yields - 1, 0),
        yields=task._yields,
        run_time=task._ran / rate,
        longest_step=task._longest / rate,
        ready_delay=task._waited / rate,
        longest_ready_delay=task._longest_wait / rate,
        cancelling=task.cancelling(),
        cancelled=cancelled,
        interruptions=interruptions,
        recoveries=task._recovered if ours else 0,
    )


def seconds_since(task: Any, rate: float) -> float:
    """For how many seconds *task* has been doing what it does."""
    ticks: int = now_in_ticks() - task.since
    return max(ticks, 0) / rate


def running_stack(coroutine: Any, loop: Any) -> tuple[Place, ...]:
    """Where *coroutine* runs at this moment, functions that it has called included; the innermost place last.

    What it awaits cannot be asked of a coroutine that runs, but its thread has the frames.
    """
    outermost = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
    frame = sys._current_frames().get(loop._thread_id)
    places = []
    while frame is not None:
        code = frame.f_code
        places.append(Place(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname))
        if frame is outermost:
            return tuple(reversed(places))
        frame = frame.f_back
    # It has stopped running in the meantime.
    return stack_of(coroutine)
