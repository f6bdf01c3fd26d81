"""What a recording tells of what was wrong: the doctor's findings after the event.

Not everything can be known from what happened: who holds which lock, what nothing can reach any more, and whether a
cancellation was taken back.  For that, ask the process while it lives.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hocket.native.measure import bucket_of, lower_bound
from hocket.observe.facts import Place
from hocket.observe.lints import LINTS, Rules
from hocket.observe.recording import Event, Recording
from hocket.observe.warnings import Trouble
from hocket.observe.words import duration

_SECOND = 1e9


@dataclass(slots=True)
class _TaskHistory:
    steps: int = 0
    yields: int = 0
    run_time: int = 0
    longest: int = 0
    longest_at: Place | None = None
    first: int = 0


@dataclass(slots=True)
class _LoopHistory:
    delays: collections.Counter[int] = field(default_factory=collections.Counter)
    longest_delay: int = 0
    timers: int = 0


class _History:
    """What happened, added up."""

    def __init__(self, recording: Recording) -> None:
        self.tasks: dict[int, _TaskHistory] = collections.defaultdict(_TaskHistory)
        self.loops: dict[int, _LoopHistory] = collections.defaultdict(_LoopHistory)
        self.blocked: list[Event] = []
        self.left: dict[int, Event] = {}
        self.waits: dict[int, Event] = {}
        self.begun = self.ended = 0
        how: dict[str, Callable[[Event], None]] = {
            "step": self._step,
            "wait": self._wait,
            "timer": self._timer,
            "blocked": self.blocked.append,
            "left": self._left,
        }
        for event in recording.events():
            self.begun = min(self.begun, event.time) if self.begun else event.time
            self.ended = max(self.ended, event.time + (event.duration or 0))
            if event.kind in how:
                how[event.kind](event)

    @property
    def seconds(self) -> float:
        return (self.ended - self.begun) / _SECOND

    def _step(self, event: Event) -> None:
        task, took = self.tasks[event.task], event.duration or 0
        if not task.steps:
            task.first = took
        task.steps += 1
        task.yields += event.detail["ends"] == "yielded"
        task.run_time += took
        if took > task.longest:
            task.longest = took
            at = event.detail.get("at")
            task.longest_at = None if at is None else Place(at["file"], at["line"], at["function"])
        delay = event.detail["ready_for"]
        loop = self.loops[event.loop]
        loop.delays[bucket_of(delay)] += 1
        loop.longest_delay = max(loop.longest_delay, delay)

    def _wait(self, event: Event) -> None:
        if event.detail.get("over") is False:
            self.waits[event.task] = event

    def _timer(self, event: Event) -> None:
        self.loops[event.loop].timers += 1

    def _left(self, event: Event) -> None:
        self.left[event.task] = event


def autopsy(path: str, rules: Rules | None = None) -> tuple[list[Trouble], dict[str, Any]]:
    """What went wrong in the run of the recording in the file *path*, the worst first; and how much was looked at.

    Raises `hocket.observe.recording_file.NotARecording` if it is none, `OSError` if it cannot be read.
    """
    rules = Rules() if rules is None else rules
    recording = Recording(path)
    history = _History(recording)
    found: list[Trouble] = []
    for name, find in _FINDERS.items():
        threshold = rules.threshold(name)
        if threshold is not None:
            found += find(recording, history, threshold, path)
    explained = {number for trouble in found if trouble.name == "blocked-loop" for number in trouble.tasks}
    found = [trouble for trouble in found if trouble.name != "long-step" or not explained.intersection(trouble.tasks)]
    unknown = ", ".join(name for name in LINTS if name not in _FINDERS and rules.threshold(name) is not None)
    notes = []
    if recording.overwritten:
        notes.append(f"{recording.overwritten:,} of {recording.written:,} records were overwritten before")
    if unknown:
        notes.append(f"a recording does not tell: {unknown}")
    end = {
        "tasks": len(recording.tasks),
        "loops": len(recording.loops),
        "seconds": history.seconds,
        "note": "; ".join(notes),
    }
    return sorted(found, key=lambda trouble: -trouble.weight), end


def _name(recording: Recording, number: int) -> str:
    return f"task {recording.task(number).name!r}" if number else "a callback"


def _made(recording: Recording, number: int) -> Place | None:
    return recording.task(number).made_at if number else None


def _blocked_loop(recording: Recording, history: _History, threshold: float, path: str) -> Iterator[Trouble]:
    worst: dict[tuple[int, str], list[float]] = collections.defaultdict(list)
    for event in history.blocked:
        # One that lasts is told of twice.
        seconds = (event.duration if event.duration is not None else history.ended - event.time) / _SECOND
        if seconds >= threshold and event.duration is not None:
            worst[event.task, event.detail["why"]].append(seconds)
    lasting = {event.time: event for event in history.blocked if event.duration is None}
    for event in history.blocked:
        if event.duration is not None:
            lasting.pop(event.time, None)
    for event in lasting.values():
        worst[event.task, event.detail["why"]].append((history.ended - event.time) / _SECOND)
    for (task, why), times in worst.items():
        yield Trouble(
            "blocked-loop",
            f"{_name(recording, task)} blocked its loop for {duration(max(times))}: {why}",
            (f"{len(times)} times, {duration(sum(times))} in all",),
            (task,) if task else (),
            history.tasks[task].longest_at or _made(recording, task),
            f"hocket export {path} shows what else happened then",
            max(times),
        )


def _never_yields(recording: Recording, history: _History, threshold: float, path: str) -> Iterator[Trouble]:
    for number, task in history.tasks.items():
        if task.steps == 1 and task.first >= threshold * _SECOND:
            yield Trouble(
                "never-yields",
                f"{_name(recording, number)} ran for {duration(task.first / _SECOND)} and never waited for anything",
                (f"runs {recording.task(number).coroutine}",),
                (number,),
                task.longest_at or _made(recording, number),
                "await something in between, or compute in a thread or process",
                task.first / _SECOND,
            )


def _long_step(recording: Recording, history: _History, threshold: float, path: str) -> Iterator[Trouble]:
    for number, task in history.tasks.items():
        if task.longest >= threshold * _SECOND:
            yield Trouble(
                "long-step",
                f"a step of {_name(recording, number)} took {duration(task.longest / _SECOND)}",
                (
                    f"runs {recording.task(number).coroutine}: {task.steps:,} steps in "
                    f"{duration(task.run_time / _SECOND)}",
                ),
                (number,),
                task.longest_at or _made(recording, number),
                "HOCKET_BLOCKED_AFTER=0.1 names the line while it runs",
                task.longest / _SECOND,
            )


def _sched_delay(recording: Recording, history: _History, threshold: float, path: str) -> Iterator[Trouble]:
    for number, loop in history.loops.items():
        count = sum(loop.delays.values())
        seen, delay = 0, 0
        for bucket in sorted(loop.delays):
            seen += loop.delays[bucket]
            if seen >= 0.99 * count:
                delay = lower_bound(bucket)
                break
        if count >= 100 and delay >= threshold * _SECOND:
            busiest = sorted(history.tasks.items(), key=lambda item: -item[1].run_time)[:3]
            yield Trouble(
                "sched-delay",
                f"one step in a hundred of loop {number} was ready for {duration(delay / _SECOND)} before it ran",
                (
                    f"at most {duration(loop.longest_delay / _SECOND)}, of {count:,} steps",
                    *(
                        f"{_name(recording, task)} ran for {duration(done.run_time / _SECOND)}"
                        for task, done in busiest
                    ),
                ),
                tuple(task for task, _ in busiest),
                None,
                f"hocket export {path} shows who ran meanwhile",
                delay / _SECOND,
            )


def _self_wakes(recording: Recording, history: _History, threshold: float, path: str) -> Iterator[Trouble]:
    for number, task in history.tasks.items():
        if task.yields >= max(100.0, 1000.0 * history.seconds) and task.yields / task.steps >= threshold:
            yield Trouble(
                "self-wakes",
                f"{_name(recording, number)} woke itself in {task.yields / task.steps:.0%} of its steps",
                (f"{task.yields:,} of {task.steps:,} steps ended with sleep(0)",),
                (number,),
                task.longest_at or _made(recording, number),
                "wait for what is to happen (Event, Condition, Queue) in place of asking for it again and again",
                task.yields / task.steps,
            )


def _timer_storm(recording: Recording, history: _History, threshold: float, path: str) -> Iterator[Trouble]:
    for number, loop in history.loops.items():
        rate = loop.timers / history.seconds if history.seconds > 0.1 else 0.0
        if rate >= threshold:
            yield Trouble(
                "timer-storm",
                f"{rate:,.0f} timers a second were set on loop {number}",
                (f"{loop.timers:,} in {duration(history.seconds)}",),
                (),
                None,
                f"hocket export {path} shows by whom",
                rate,
            )


def _task_leak(recording: Recording, history: _History, threshold: float, path: str) -> Iterator[Trouble]:
    for number, event in history.left.items():
        wait = history.waits.get(number)
        seconds = 0.0 if wait is None else (wait.duration or 0) / _SECOND
        if wait is not None and seconds >= threshold:
            awaited = wait.detail["for"]
            yield Trouble(
                "task-leak",
                f"{_name(recording, number)} had not ended when its loop was closed",
                (f"it waited for {awaited['kind']} {awaited.get('what', '')}, for {duration(seconds)}",),
                (number,),
                _place(event.detail.get("at")) or _made(recording, number),
                "cancel and await what is left over, or use a TaskGroup",
                seconds,
            )


def _place(at: dict[str, Any] | None) -> Place | None:
    return None if at is None else Place(at["file"], at["line"], at["function"])


_FINDERS: dict[str, Callable[[Recording, _History, float, str], Iterator[Trouble]]] = {
    "blocked-loop": _blocked_loop,
    "never-yields": _never_yields,
    "task-leak": _task_leak,
    "sched-delay": _sched_delay,
    "long-step": _long_step,
    "timer-storm": _timer_storm,
    "self-wakes": _self_wakes,
}
