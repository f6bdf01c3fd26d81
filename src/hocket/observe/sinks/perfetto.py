"""A recording as a trace for https://ui.perfetto.dev, in Perfetto's own format.

Each loop is a track that shows what runs on it, and under it each of its tasks is one that shows what the task does:
*running*, *ready*, or what it waits for.  An arrow leads from where a task was woken to the step that followed.  Spans
of the program's own are tracks under their task; marks are on the task's.

The format is a stream of Protocol Buffers messages, of which very few kinds are needed: they are written here by hand,
and checked in the tests against Perfetto's schema.  Its field numbers are those of
``protos/perfetto/trace/trace_packet.proto`` and ``track_event/track_event.proto``.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from hocket.observe.recording import Event, Recording
from hocket.observe.sinks.collapsed import awaited

# Fields of a TracePacket, and of what is in it.
_PACKET = 1
_TIMESTAMP, _SEQUENCE, _TRACK_EVENT, _INTERNED, _FLAGS, _TRACK = 8, 10, 11, 12, 13, 60
_TYPE, _NAME_ID, _ON_TRACK, _CATEGORY, _ANNOTATION, _FLOW, _END_OF_FLOW = 9, 10, 11, 22, 4, 47, 48
_BEGIN, _END, _INSTANT = 1, 2, 3
_NOW_VALID, _NEEDS_NAMES = 1, 2

_PROCESS_TRACK = 1
_LOOP_TRACKS = 1 << 32
_TASK_TRACKS = 2 << 32
_SPAN_TRACKS = 3 << 32
_BLOCKED_TRACKS = 4 << 32
_COLLECTION_TRACKS = 5 << 32


def write(recording: Recording, file: BinaryIO) -> None:
    """Write *recording* to *file*.

    Points are written as they are met, and not in the order of time, which their readers see to: however long the
    recording is, little of it is held in memory.
    """
    trace = _Trace(recording, file)
    for event in recording.events():
        trace.tell(event)


class _Trace:
    """Writes the points of each track in their order, and a track or a name before it is used for the first time."""

    def __init__(self, recording: Recording, file: BinaryIO) -> None:
        self._of = recording
        self._file = file
        self._tracks: set[int] = set()
        self._names: dict[str, int] = {}
        # How far each track has come: nothing on it begins before what was there before it is over.
        self._until: dict[int, int] = {}
        self._flows = 0
        # The task to whose next step the last arrow leads.
        self._woken = 0
        self._spans = 0
        self._write({_SEQUENCE: 1, _FLAGS: _NOW_VALID})
        process = {1: recording.meta["process"], 6: "hocket"}
        self._write({_SEQUENCE: 1, _TRACK: _message({1: _PROCESS_TRACK, 3: _message(process)})})

    def tell(self, event: Event) -> None:
        how = getattr(self, f"_{event.kind}", None)
        if how is not None:
            how(event)

    def _write(self, fields: dict[int, Any]) -> None:
        self._file.write(_message({_PACKET: _message(fields)}))

    # -- Tracks

    def _loop_track(self, number: int) -> int:
        track = _LOOP_TRACKS + number
        if track not in self._tracks:
            self._add_track(track, f"loop {number}" if number else "outside of loops", _PROCESS_TRACK)
        return track

    def _task_track(self, loop: int, number: int) -> int:
        if not number:
            return self._loop_track(loop)
        track = _TASK_TRACKS + number
        if track not in self._tracks:
            task = self._of.task(number)
            name = task.name if task.coroutine is None else f"{task.name} {task.coroutine}"
            self._add_track(track, name, self._loop_track(task.loop or loop))
        return track

    def _add_track(self, track: int, name: str, parent: int) -> None:
        self._tracks.add(track)
        self._write({_SEQUENCE: 1, _TRACK: _message({1: track, 2: name, 5: parent})})

    # -- Points

    def _slice(
        self,
        track: int,
        name: str,
        category: str,
        begin: int,
        end: int,
        detail: dict[str, Any] | None = None,
        ends_flow: int = 0,
        over: bool = True,
    ) -> None:
        begin = max(begin, self._until.get(track, 0))
        end = max(begin, end)
        self._until[track] = end
        self._point(track, _BEGIN, begin, name, category, detail, ends_flow=ends_flow)
        if over:
            self._write_point(end, {_TYPE: _END, _ON_TRACK: track})

    def _point(
        self,
        track: int,
        kind: int,
        when: int,
        name: str,
        category: str,
        detail: dict[str, Any] | None = None,
        flow: int = 0,
        ends_flow: int = 0,
    ) -> None:
        fields: dict[int, Any] = {
            _TYPE: kind,
            _ON_TRACK: track,
            _CATEGORY: category,
            _NAME_ID: self._name(name),
        }
        if detail:
            fields[_ANNOTATION] = [_annotation(key, value) for key, value in detail.items() if value is not None]
        if flow:
            fields[_FLOW] = _Fixed(flow)
        if ends_flow:
            fields[_END_OF_FLOW] = _Fixed(ends_flow)
        self._write_point(when, fields)

    def _write_point(self, when: int, fields: dict[int, Any]) -> None:
        self._write({_TIMESTAMP: when, _SEQUENCE: 1, _FLAGS: _NEEDS_NAMES, _TRACK_EVENT: _message(fields)})

    def _name(self, name: str) -> int:
        number = self._names.get(name)
        if number is None:
            number = self._names[name] = len(self._names) + 1
            interned = _message({2: _message({1: number, 2: name})})
            self._write({_SEQUENCE: 1, _FLAGS: _NEEDS_NAMES, _INTERNED: interned})
        return number

    # -- Events

    def _wake(self, event: Event) -> None:
        by = event.detail["by"]
        if by["kind"] in ("itself", "start"):
            return
        self._flows += 1
        self._woken = event.task
        waker = self._task_track(event.loop, by["task"]) if by["kind"] == "task" else self._loop_track(event.loop)
        name = f"wakes {self._of.task(event.task).name}"
        self._point(waker, _INSTANT, event.time, name, "wake", event.detail, flow=self._flows)

    def _step(self, event: Event) -> None:
        duration = event.duration or 0
        task = self._task_track(event.loop, event.task)
        ready_for = event.detail["ready_for"]
        flow = self._flows if self._woken == event.task else 0
        self._woken = 0
        if ready_for:
            self._slice(task, "ready", "ready", event.time - ready_for, event.time, None, flow)
            flow = 0
        self._slice(task, "running", "step", event.time, event.time + duration, event.detail, flow)
        if "inside" not in event.detail:
            name = self._of.task(event.task).name
            self._slice(self._loop_track(event.loop), name, "step", event.time, event.time + duration)

    def _wait(self, event: Event) -> None:
        name = f"waits for {awaited(self._of, event.detail['for'])}"
        begin, over = event.time, event.detail.get("over", True)
        track = self._task_track(event.loop, event.task)
        self._slice(track, name, "wait", begin, begin + (event.duration or 0), event.detail, over=over)

    def _call(self, event: Event) -> None:
        place = event.detail.get("at")
        name = place["function"] if place is not None else event.detail["what"]
        track = self._loop_track(event.loop)
        self._slice(track, name, "call", event.time, event.time + (event.duration or 0), event.detail)

    def _turn(self, event: Event) -> None:
        waited = event.detail.get("waited")
        if waited:
            track = self._loop_track(event.loop)
            self._slice(track, "waits for the kernel", "turn", event.time, event.time + waited, event.detail)

    def _spawn(self, event: Event) -> None:
        parent = self._task_track(event.loop, event.detail["parent"])
        detail = {"at": event.detail["at"], "coroutine": event.detail["coroutine"]}
        self._point(parent, _INSTANT, event.time, f"makes {event.detail['name']}", "spawn", detail)

    def _done(self, event: Event) -> None:
        track = self._task_track(event.loop, event.task)
        self._point(track, _INSTANT, event.time, event.detail["how"], "done", event.detail)

    def _io(self, event: Event) -> None:
        name = f"{event.detail['descriptor']} is {event.detail['direction']}"
        self._point(self._loop_track(event.loop), _INSTANT, event.time, name, "io")

    def _traffic(self, event: Event) -> None:
        name = f"received {event.detail['received']}, sent {event.detail['sent']} bytes"
        self._point(self._loop_track(event.loop), _INSTANT, event.time, name, "io")

    def _cancel(self, event: Event) -> None:
        track = self._task_track(event.loop, event.task)
        self._point(track, _INSTANT, event.time, "is to be cancelled", "cancel", event.detail)

    def _mark(self, event: Event) -> None:
        track = self._task_track(event.loop, event.task)
        self._point(track, _INSTANT, event.time, event.detail["name"], "mark")

    def _blocked(self, event: Event) -> None:
        self._beside(event, _BLOCKED_TRACKS + event.loop, "blocked", event.detail["why"])

    def _collection(self, event: Event) -> None:
        name = f"garbage collection {event.detail['generation']}"
        self._beside(event, _COLLECTION_TRACKS + event.loop, "garbage collection", name)

    def _span(self, event: Event) -> None:
        self._spans += 1
        name = event.detail["name"]
        self._beside(event, _SPAN_TRACKS + self._spans, name, name)

    def _beside(self, event: Event, track: int, called: str, name: str) -> None:
        """On a track of its own, under that of its task: it begins and ends in the middle of others."""
        if track not in self._tracks:
            self._add_track(track, called, self._task_track(event.loop, event.task))
        end = event.time + (event.duration or 0)
        self._slice(track, name, event.kind, event.time, end, event.detail, over=event.detail.get("over", True))


class _Fixed(int):
    """A number that takes eight bytes, whatever it is."""


def _message(fields: dict[int, Any]) -> bytes:
    """A message of Protocol Buffers with these fields: numbers, text, messages, or lists of them."""
    data = bytearray()
    for number, value in fields.items():
        for it in value if type(value) is list else (value,):
            kind = type(it)
            if kind is int:
                data += _varint(number << 3)
                data += _varint(it & (1 << 64) - 1)
            elif kind is _Fixed:
                data += _varint(number << 3 | 1)
                data += struct.pack("<Q", it)
            else:
                content = it.encode("utf-8", "replace") if kind is str else it
                data += _varint(number << 3 | 2)
                data += _varint(len(content))
                data += content
    return bytes(data)


_SHORT = [bytes((number,)) for number in range(128)]


def _varint(number: int) -> bytes:
    if number < 128:
        return _SHORT[number]
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    data.append(number)
    return bytes(data)


def _annotation(name: str, value: Any) -> bytes:
    """A DebugAnnotation: a number, a truth value, or words."""
    if isinstance(value, bool):
        return _message({10: name, 2: int(value)})
    if isinstance(value, int):
        return _message({10: name, 4: int(value)})
    if isinstance(value, dict) and "file" in value:
        value = f"{value['file']}:{value['line']} in {value['function']}"
    elif isinstance(value, dict):
        value = ", ".join(f"{key} {it}" for key, it in value.items() if not isinstance(it, dict))
    return _message({10: name, 6: str(value)})
