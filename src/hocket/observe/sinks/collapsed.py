"""A recording as collapsed stacks, for ``flamegraph.pl``, speedscope and inferno: who spent the time.

A stack is the line of those who made each other, the first task first, and then where the task stood.  Each line ends
with a number of microseconds: those that tasks ran, that they were ready and did not run, or that they waited.

    main;handle (app.py:14);waits for Lock.acquire at fetch (db.py:40) 12000
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TextIO

from hocket.observe.recording import Recording

#: What can be counted: the time in which tasks ran, were ready, or waited.
WHAT = ("run", "ready", "wait")


def write(recording: Recording, file: TextIO, what: str = "run") -> None:
    """Write the stacks of *recording* to *file*, with the time of one of `WHAT`."""
    for stack, microseconds in stacks(recording, what).most_common():
        file.write(f"{stack} {microseconds}\n")


def stacks(recording: Recording, what: str = "run") -> Counter[str]:
    """How many microseconds were spent in each stack."""
    if what not in WHAT:
        raise ValueError(f"expected one of {', '.join(WHAT)}, got {what!r}")
    nanoseconds: Counter[str] = Counter()
    families: dict[int, str] = {}
    for event in recording.events():
        if event.kind == "step" and what == "run":
            nanoseconds[f"{_family(recording, event.task, families)}"] += event.duration or 0
        elif event.kind == "call" and what == "run":
            place = _place(event.detail.get("at"))
            nanoseconds[f"loop {event.loop};{place or event.detail['what']}"] += event.duration or 0
        elif event.kind == "step" and what == "ready":
            nanoseconds[_family(recording, event.task, families)] += event.detail["ready_for"]
        elif event.kind == "wait" and what == "wait":
            place = _place(event.detail.get("at"))
            frame = f"waits for {awaited(recording, event.detail['for'])}" + (f" at {place}" if place else "")
            nanoseconds[f"{_family(recording, event.task, families)};{_frame(frame)}"] += event.duration or 0
    return Counter({stack: time // 1000 for stack, time in nanoseconds.items() if time >= 1000})


def awaited(recording: Recording, what: dict[str, object]) -> str:
    """What is waited for, in a few words."""
    if what["kind"] == "task":
        number = what["task"]
        return f"the task {recording.task(number).name}" if isinstance(number, int) else "a task"
    return "a timer" if what["kind"] == "timer" else str(what["what"])


def _family(recording: Recording, number: int, known: dict[int, str]) -> str:
    """The line of those who made each other, down to the task with this number."""
    if number in known:
        return known[number]
    frames: list[str] = []
    seen: set[int] = set()
    at = number
    while at and at not in seen and len(frames) < 100:
        seen.add(at)
        task = recording.tasks.get(at)
        if task is None:
            break
        place = task.made_at
        name = task.coroutine or task.name
        frames.append(_frame(name if place is None else f"{name} ({os.path.basename(place.file)}:{place.line})"))
        at = task.parent
    known[number] = ";".join(reversed(frames)) or _frame(f"Task-{number}")
    return known[number]


def _place(place: dict[str, object] | None) -> str | None:
    if place is None:
        return None
    return _frame(f"{place['function']} ({os.path.basename(str(place['file']))}:{place['line']})")


def _frame(name: str) -> str:
    return name.replace(";", ",").replace("\n", " ")
