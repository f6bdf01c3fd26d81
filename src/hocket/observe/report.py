"""The report of ``hocket run --report``: what the program's loops did, written to stderr when the program ends.

It reads what the engine counts and steers nothing.  A loop is usually closed and collected long before the process
ends, so its counters are taken when it closes; loops still open at exit are read then.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields

from hocket.core import scheduler
from hocket.core.scheduler import Scheduler
from hocket.core.statistics import LoopStatistics
from hocket.observe.words import duration

NO_LOOP = "hocket report: the program made no hocket event loop"


@dataclass
class Collector:
    """The statistics of loops that have closed, and when and where the collecting started."""

    closed: list[LoopStatistics]
    started: float
    process: int


_collector: Collector | None = None


def start() -> None:
    """Report on every loop made from now on when the process exits."""
    global _collector
    stop()
    _collector = Collector([], time.monotonic(), os.getpid())
    scheduler.on_close.append(_closed)
    atexit.register(_write)


def stop() -> None:
    """Forget what was collected; nothing is reported at exit.  Does nothing if :func:`start` was not called."""
    global _collector
    if _collector is None:
        return
    _collector = None
    scheduler.on_close.remove(_closed)
    atexit.unregister(_write)


def _closed(loop: Scheduler) -> None:
    if _collector is not None:
        _collector.closed.append(loop.statistics())


def _write() -> None:
    # A forked child that exits by itself inherits the registration, but the report is its parent's.
    if _collector is None or _collector.process != os.getpid() or sys.stderr is None:
        return
    open_loops = [loop.statistics() for loop in scheduler.loops()]
    text = render([*_collector.closed, *open_loops], time.monotonic() - _collector.started)
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):  # closed by the program, or nobody reads the pipe any more
        pass


def total(parts: Iterable[LoopStatistics]) -> LoopStatistics:
    """Add up the statistics of several loops; the longest step is the longest of any, with its task and place."""
    parts = list(parts)
    longest = max(parts, key=lambda part: part.longest_step)
    of_the_step = ("longest_step", "longest_step_task", "longest_step_where")
    return LoopStatistics(
        **{name: getattr(longest, name) for name in of_the_step},
        **{
            field.name: sum(getattr(part, field.name) for part in parts)
            for field in fields(LoopStatistics)
            if field.name not in of_the_step
        },
    )


def render(parts: list[LoopStatistics], elapsed: float) -> str:
    """Return the report on loops with these statistics, collected for `elapsed` seconds."""
    if not parts:
        return NO_LOOP
    sums = total(parts)
    tasks = (
        f"{sums.tasks_started:,} started, {sums.tasks_finished:,} finished, "
        f"{sums.tasks_failed:,} failed, {sums.tasks_cancelled:,} cancelled"
    )
    longest = duration(sums.longest_step) if sums.longest_step else "none"
    if sums.longest_step_task is not None:
        longest += f" by {sums.longest_step_task}"
    if sums.longest_step_where is not None:
        longest += f" at {sums.longest_step_where}"
    loops = "1 event loop" if len(parts) == 1 else f"{len(parts)} event loops"
    return "\n".join(
        [
            f"hocket report: {loops}, {duration(elapsed)}",
            f"  turns         {sums.turns:,}",
            f"  steps         {sums.steps:,} of tasks, {sums.callbacks:,} callbacks",
            f"  tasks         {tasks}",
            f"  busy          {duration(sums.busy)}{share(sums.busy, sums)}",
            f"  idle          {duration(sums.idle)}{share(sums.idle, sums)}",
            f"  longest step  {longest}",
        ]
    )


def share(seconds: float, sums: LoopStatistics) -> str:
    whole = sums.busy + sums.idle
    return f" ({seconds / whole:.0%})" if whole > 0 else ""
