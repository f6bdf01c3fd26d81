"""A recording, read: events in the words of the documentation, each wake with its cause.

from hocket.observe.recording import Recording

for event in Recording("hocket-4711-1.recording").events():
    print(event.time, event.kind, event.task)

The ring has one record a step: since when the task had been ready, from when to when it ran, and what it waits for now.
Ready, step, and wait are told apart here; and who woke it is found here, too: a loop runs one thing at a time, so it
was whatever ran at that moment.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hocket.native import ring as kinds
from hocket.native.ring import LAYOUT, RECORD_SIZE, RECORDS, TEXT_SIZE
from hocket.observe.facts import Place
from hocket.observe.recording_file import NotARecording, chunks

_ADDRESS = (1 << 48) - 1
_OUTCOMES = {kinds.FINISHED: "finished", kinds.FAILED: "failed", kinds.CANCELLED: "cancelled"}
_CALLS = {kinds.SOON: "callback", kinds.TIMED: "timer", kinds.FROM_THREAD: "thread", kinds.OWN: "loop"}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    ``kind`` says what; ``time`` is when, in nanoseconds since the epoch, and ``duration`` how long it took, in
    nanoseconds, if it took time.  ``loop`` and ``task`` are numbers, 0: none.  ``detail`` has what else there is to
    say, as JSON would have it.
    """

    kind: str
    time: int
    duration: int | None
    loop: int
    task: int
    detail: dict[str, Any]


@dataclass(slots=True)
class RecordedTask:
    """What a recording tells of one task.  ``made_at`` and ``coroutine`` are None if that was overwritten."""

    number: int
    name: str
    loop: int = 0
    parent: int = 0
    coroutine: str | None = None
    made_at: Place | None = None


@dataclass(slots=True)
class _Raw:
    kind: int
    detail: int
    loop: int
    place: int
    time: int
    end: int
    a: int
    b: int
    c: int
    text: str = ""


@dataclass(slots=True)
class _Ran:
    """What ran on one loop, in the order of time: when it began, when it ended, and what it was: a task's number, or
    what there is to say of a call."""

    begins: array[int] = field(default_factory=lambda: array("Q"))
    ends: array[int] = field(default_factory=lambda: array("Q"))
    causes: list[Any] = field(default_factory=list)

    def add(self, begin: int, end: int, cause: Any) -> None:
        # A step inside of a callback may be told of a tick after it has ended.
        if self.begins and begin < self.begins[-1]:
            return
        self.begins.append(begin)
        self.ends.append(end)
        self.causes.append(cause)

    def at(self, time: int) -> Any:
        index = bisect_right(self.begins, time) - 1
        if index >= 0 and time <= self.ends[index]:
            return self.causes[index]
        return None


class Recording:
    """The recording in the file *path*.  Raises `NotARecording` if it is none, `OSError` if it cannot be read.

    ``meta`` says of which process; ``reason`` why it was written down (None: it was cut off in the middle), ``written``
    how many records there had been and ``overwritten`` how many of them are lost; ``loops`` are the counters of each
    loop, ``live`` the tasks that there were at the end; ``tasks`` all that it tells of, by their numbers.
    """

    def __init__(self, path: str) -> None:
        self.meta: dict[str, Any] = {}
        self.reason: str | None = None
        self.error: str | None = None
        self.written = 0
        self.overwritten = 0
        self.loops: dict[int, dict[str, Any]] = {}
        self.live: list[dict[str, Any]] = []
        self.tasks: dict[int, RecordedTask] = {}
        self._live_at = 0
        self._places: dict[int, Place] = {}
        self._types: dict[int, str] = {}
        self._records: list[bytes] = []
        ends: dict[str, Any] = {}
        for tag, data in chunks(path):
            if tag == RECORDS:
                self._records.append(data)
                continue
            content = json.loads(data)
            if tag == b"META":
                self.meta = content
            elif tag == b"PLAC":
                self._places.update({number: Place(file, line, function) for number, file, line, function in content})
            elif tag == b"TYPE":
                self._types.update(dict(content))
            elif tag == b"LOOP":
                self.loops[content["loop"]] = content
            elif tag == b"LIVE":
                self._live_at = content["ticks"]
                self.live = content["tasks"]
                self.loops.update({loop["loop"]: loop for loop in content["loops"]})
            elif tag == b"END.":
                ends = content
        if not self.meta or self.meta["record_size"] != RECORD_SIZE:
            raise NotARecording(f"{path} was written by another version of hocket")
        self.reason = ends.get("reason")
        self.error = ends.get("error")
        self.written = ends.get("written", sum(map(len, self._records)) // RECORD_SIZE)
        self.overwritten = ends.get("overwritten", 0)
        # The longer it is measured, the better it is known.
        self._rate = ends.get("ticks_per_second") or self.meta["ticks_per_second"]
        self._meet_tasks()

    def time_of(self, ticks: int) -> int:
        """When that was, in nanoseconds since the epoch."""
        return int(self.meta["time"] * 1e9) + int((ticks - self.meta["ticks"]) * (1e9 / self._rate))

    def _lasting(self, ticks: int) -> int:
        return max(int(ticks * (1e9 / self._rate)), 0)

    # -- Who is who

    def _raw(self) -> Iterator[_Raw]:
        """The records, each with its text."""
        last: _Raw | None = None
        text = b""
        for stretch in self._records:
            for fields in LAYOUT.iter_unpack(stretch):
                if fields[0] == kinds.TEXT:
                    text += LAYOUT.pack(*fields)[-TEXT_SIZE:][: fields[1]]
                    continue
                if last is not None:
                    last.text = text.decode("utf-8", "ignore")
                    yield last
                last, text = _Raw(*fields), b""
        if last is not None:
            last.text = text.decode("utf-8", "ignore")
            yield last

    def _meet_tasks(self) -> None:
        for record in self._raw():
            if record.kind == kinds.SPAWN:
                task = self.task(record.a)
                task.loop, task.parent = record.loop, record.b
                task.made_at = self._places.get(record.place)
                code = self._places.get(record.c)
                task.coroutine = self._type(record.end) if code is None else code.function
            elif record.kind in (kinds.DONE, kinds.LEFT):
                task = self.task(record.a)
                task.loop = record.loop
                task.name = record.text or task.name
                code = self._places.get(record.place)
                if record.kind == kinds.DONE and code is not None:
                    task.coroutine = code.function
        for facts in self.live:
            made_at = facts["made_at"]
            self.tasks[facts["task"]] = RecordedTask(
                facts["task"],
                facts["name"],
                facts["loop"],
                facts["parent"],
                facts["coroutine"],
                None if made_at is None else Place(*made_at),
            )

    def task(self, number: int) -> RecordedTask:
        """What is known of the task with this number: its name, if nothing else."""
        task = self.tasks.get(number)
        if task is None:
            task = self.tasks[number] = RecordedTask(number, f"Task-{number}")
        return task

    def _type(self, identity: int) -> str:
        return self._types.get(identity >> 48, "object")

    def _place(self, number: int) -> dict[str, Any] | None:
        place = self._places.get(number)
        return None if place is None else {"file": place.file, "line": place.line, "function": place.function}

    # -- What happened

    def events(self) -> Iterator[Event]:
        """What happened, in the order in which it was over.

        A wait is told when it is over, before the wake that ended it, and those that are not over come at the end.
        """
        story = _Story(self)
        for record in self._raw():
            yield from story.tell(record)
        yield from story.end(self._live_at)


class _Story:
    """Goes through the records of a recording, and remembers what is needed to tell them."""

    def __init__(self, recording: Recording) -> None:
        self._of = recording
        # Of each loop: what ran, steps that ran inside of something else, and which descriptors were reported when.
        self._ran: dict[int, _Ran] = {}
        self._within: dict[int, _Ran] = {}
        self._reported: dict[int, _Ran] = {}
        self._turn: dict[int, tuple[int, int]] = {}
        # Of each task: its last step, what it is timed by, when it was cancelled and by whom.
        self._last: dict[int, _Raw] = {}
        self._cancelled: dict[int, tuple[int, int]] = {}
        self._timers: dict[int, tuple[int, int]] = {}
        self._spawned: dict[int, _Raw] = {}
        self._spans: dict[int, _Raw] = {}
        self._last_time = 0
        self._how = {
            kinds.STEP: self._step,
            kinds.CALL: self._call,
            kinds.TURN: self._a_turn,
            kinds.SPAWN: self._spawn,
            kinds.DONE: self._done,
            kinds.IO: self._io,
            kinds.TIMER: self._timer,
            kinds.CANCEL: self._cancel,
            kinds.BLOCKED: self._blocked,
            kinds.SPAN_BEGIN: self._span_begin,
            kinds.SPAN_END: self._span_end,
            kinds.MARK: self._mark,
            kinds.COLLECTED: self._collection,
            kinds.LEFT: self._left,
            kinds.TRAFFIC: self._traffic,
        }

    def tell(self, record: _Raw) -> Iterator[Event]:
        how = self._how.get(record.kind)
        if how is not None:
            self._last_time = max(self._last_time, record.time, record.end if record.kind <= kinds.TURN else 0)
            yield from how(record)

    def end(self, at: int) -> Iterator[Event]:
        """Waits and spans that are not over."""
        now = max(at, self._last_time)
        for number, step in self._last.items():
            if step.detail & kinds.HOW_IT_ENDED >= kinds.WAITS_FOR_FUTURE:
                yield self._wait(number, step, now, False)
        for begin in self._spans.values():
            yield self._event("span", begin, begin.a, {"name": begin.text, "over": False}, begin.time, now - begin.time)

    def _event(
        self,
        kind: str,
        record: _Raw,
        task: int,
        detail: dict[str, Any],
        time: int | None = None,
        duration: int | None = None,
    ) -> Event:
        of = self._of
        when = of.time_of(record.time if time is None else time)
        return Event(kind, when, None if duration is None else of._lasting(duration), record.loop, task, detail)

    # -- Steps, waits and wakes

    def _step(self, record: _Raw) -> Iterator[Event]:
        number, ready_since = record.a, record.b
        how = record.detail & kinds.HOW_IT_ENDED
        before = self._last.get(number)
        if before is not None and before.detail & kinds.HOW_IT_ENDED >= kinds.WAITS_FOR_FUTURE:
            yield self._wait(number, before, ready_since, True)
        yield self._event("wake", record, number, self._woken_by(record, before), ready_since)
        detail: dict[str, Any] = {
            "ready_for": self._of._lasting(record.time - ready_since),
            "ends": "yielded" if how == kinds.YIELDED else "ended" if how == kinds.ENDED else "waits",
        }
        if record.detail & kinds.EAGER:
            detail["inside"] = "whoever made the task"
        elif record.detail & kinds.WITHIN:
            detail["inside"] = "a callback"
        if record.place:
            detail["at"] = self._of._place(record.place)
        yield self._event("step", record, number, detail, None, record.end - record.time)
        inside = record.detail & (kinds.EAGER | kinds.WITHIN)
        _runs(self._within if inside else self._ran, record.loop).add(record.time, record.end, number)
        if how == kinds.ENDED:
            self._last.pop(number, None)
            self._cancelled.pop(number, None)
        else:
            self._last[number] = record

    def _wait(self, number: int, step: _Raw, until: int, over: bool) -> Event:
        detail: dict[str, Any] = {"for": self._awaited(step)}
        if step.place:
            detail["at"] = self._of._place(step.place)
        if not over:
            detail["over"] = False
        return self._event("wait", step, number, detail, step.end, max(until - step.end, 0))

    def _awaited(self, step: _Raw) -> dict[str, Any]:
        how, what = step.detail & kinds.HOW_IT_ENDED, step.c
        if how == kinds.WAITS_FOR_TASK:
            return {"kind": "task", "task": what}
        address = what & _ADDRESS
        kind = {kinds.WAITS_FOR_FUTURE: "future", kinds.WAITS_FOR_OPERATION: "operation"}.get(how, "foreign")
        awaited: dict[str, Any] = {"kind": kind, "what": self._of._type(what), "address": address}
        set_at, due_in = self._timers.get(address, (0, 0))
        # An address may be used again: it must have been set in that very step.
        if step.time <= set_at <= step.end:
            awaited["kind"] = "timer"
            awaited["due_in"] = due_in
        return awaited

    def _woken_by(self, record: _Raw, before: _Raw | None) -> dict[str, Any]:
        number, when = record.a, record.b
        if record.detail & kinds.EAGER:
            return {"by": {"kind": "start"}}
        woken: dict[str, Any] = {}
        if before is not None and when <= before.end:
            # Nothing to wait for.
            return {"by": {"kind": "itself"}}
        spawn = self._spawned.pop(number, None)
        if before is None and spawn is not None:
            woken["by"] = {"kind": "start", "task": spawn.b}
        else:
            woken["by"] = self._who_ran(record.loop, when)
        asked, by = self._cancelled.pop(number, (0, 0))
        if asked and asked <= when and (before is None or asked >= before.end):
            woken["cancelled_by"] = by
        return woken

    def _who_ran(self, loop: int, when: int) -> dict[str, Any]:
        inside = self._within.get(loop)
        cause = None if inside is None else inside.at(when)
        if cause is None:
            cause = _runs(self._ran, loop).at(when)
        if isinstance(cause, int):
            return {"kind": "task", "task": cause}
        return {"kind": "loop"} if cause is None else dict(cause)

    def _call(self, record: _Raw) -> Iterator[Event]:
        kind = _CALLS.get(record.detail, "callback")
        cause: dict[str, Any] = {"kind": kind, "what": self._of._type(record.a)}
        place = self._of._place(record.place)
        if place is not None:
            cause["at"] = place
        if kind in ("loop", "callback"):
            reported = self._descriptor(record.loop, record.b)
            if reported is not None:
                cause.update(kind="descriptor", **reported)
        detail = {**cause, "ready_for": self._of._lasting(record.time - record.b)}
        detail["called_by"] = detail.pop("kind")
        yield self._event("call", record, 0, detail, None, record.end - record.time)
        _runs(self._ran, record.loop).add(record.time, record.end, cause)

    def _descriptor(self, loop: int, when: int) -> dict[str, Any] | None:
        """The descriptor that was reported just before *when*, in the turn that has begun then."""
        began, ended = self._turn.get(loop, (0, 0))
        reported = self._reported.get(loop)
        if reported is None or when > ended:
            return None
        index = bisect_right(reported.begins, when) - 1
        if index < 0 or reported.begins[index] < began:
            return None
        found: dict[str, Any] = reported.causes[index]
        return found

    def _a_turn(self, record: _Raw) -> Iterator[Event]:
        detail: dict[str, Any] = {"turn": record.a, "ready": record.c}
        if record.b:
            detail["waited"] = self._of._lasting(record.b - record.time)
        self._turn[record.loop] = (record.time, record.end)
        yield self._event("turn", record, 0, detail, None, record.end - record.time)

    # -- All else

    def _spawn(self, record: _Raw) -> Iterator[Event]:
        self._spawned[record.a] = record
        task = self._of.task(record.a)
        detail: dict[str, Any] = {"name": task.name, "coroutine": task.coroutine, "parent": record.b}
        detail["at"] = self._of._place(record.place)
        yield self._event("spawn", record, record.a, detail)

    def _done(self, record: _Raw) -> Iterator[Event]:
        detail: dict[str, Any] = {"how": _OUTCOMES.get(record.detail, "?"), "name": self._of.task(record.a).name}
        if record.b:
            detail["exception"] = self._of._type(record.b)
        yield self._event("done", record, record.a, detail)

    def _io(self, record: _Raw) -> Iterator[Event]:
        direction = {1: "readable", 2: "writable", 3: "readable and writable"}.get(record.detail, "?")
        detail = {"descriptor": record.a, "direction": direction}
        _runs(self._reported, record.loop).add(record.time, record.time, detail)
        yield self._event("io", record, 0, detail)

    def _timer(self, record: _Raw) -> Iterator[Event]:
        self._timers[record.a & _ADDRESS] = (record.time, record.b)
        yield self._event("timer", record, 0, {"what": self._of._type(record.a), "due_in": record.b})

    def _cancel(self, record: _Raw) -> Iterator[Event]:
        self._cancelled[record.a] = (record.time, record.b)
        yield self._event("cancel", record, record.a, {"by": record.b})

    def _blocked(self, record: _Raw) -> Iterator[Event]:
        lasting = record.end - record.time if record.end else None
        yield self._event("blocked", record, record.a, {"why": record.text}, None, lasting)

    def _span_begin(self, record: _Raw) -> Iterator[Event]:
        self._spans[record.b] = record
        return iter(())

    def _span_end(self, record: _Raw) -> Iterator[Event]:
        begin = self._spans.pop(record.b, None)
        if begin is not None:
            yield self._event("span", begin, begin.a, {"name": begin.text}, begin.time, record.time - begin.time)

    def _mark(self, record: _Raw) -> Iterator[Event]:
        yield self._event("mark", record, record.a, {"name": record.text})

    def _collection(self, record: _Raw) -> Iterator[Event]:
        detail = {"generation": record.a, "collected": record.b}
        yield self._event("collection", record, 0, detail, None, record.end - record.time)

    def _traffic(self, record: _Raw) -> Iterator[Event]:
        yield self._event("traffic", record, 0, {"received": record.a, "sent": record.b})

    def _left(self, record: _Raw) -> Iterator[Event]:
        yield self._event("left", record, record.a, {"name": record.text, "at": self._of._place(record.place)})


def _runs(of: dict[int, _Ran], loop: int) -> _Ran:
    ran = of.get(loop)
    if ran is None:
        ran = of[loop] = _Ran()
    return ran
