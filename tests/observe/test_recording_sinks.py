"""Recordings in the formats of others: Perfetto's, JSON lines, collapsed stacks."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tracemalloc
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as schema

import hocket
from hocket.observe import mark, recorder, recording_file, span
from hocket.observe.recording import Recording
from hocket.observe.recording_file import NotARecording
from hocket.observe.sinks import collapsed, jsonl, perfetto

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "observe-recorder.md"


async def work(lock: hocket.Lock, number: int) -> None:
    with span(f"work {number}"):
        async with lock:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0)


async def run_work() -> None:
    lock = hocket.Lock()
    mark("begin")
    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(work(lock, number), name=f"worker {number}")
    await asyncio.to_thread(int)
    sleeper = asyncio.create_task(asyncio.sleep(60), name="sleeper")
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.wait([sleeper])


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("recording") / "run.recording"
    recorder.record_to(path)
    try:
        hocket.run(run_work())
    finally:
        recorder.stop()
    return Recording(str(path))


# -- Perfetto


@pytest.fixture(scope="module")
def trace(recording: Recording) -> Any:
    file = io.BytesIO()
    perfetto.write(recording, file)
    parsed = schema.Trace()
    parsed.ParseFromString(file.getvalue())
    return parsed


def fields_unknown(message: Any) -> int:
    """How many fields of *message*, and of all that is in it, the schema does not have."""
    count = len(UnknownFieldSet(message))
    for _, value in message.ListFields():
        for it in value if hasattr(value, "__len__") and not isinstance(value, (str, bytes)) else [value]:
            if hasattr(it, "ListFields"):
                count += fields_unknown(it)
    return count


def tracks(trace: Any) -> dict[int, Any]:
    found = [packet.track_descriptor for packet in trace.packet if packet.HasField("track_descriptor")]
    return {track.uuid: track for track in found}


def points(trace: Any) -> list[Any]:
    """In the order of time, as readers of the format put them; of one time in that of the file."""
    found = [packet for packet in trace.packet if packet.HasField("track_event")]
    return sorted(found, key=lambda packet: packet.timestamp)


def names(trace: Any) -> dict[int, str]:
    return {it.iid: it.name for packet in trace.packet for it in packet.interned_data.event_names}


def test_perfetto_knows_every_field(trace: Any) -> None:
    """The trace is what its schema says, and has nothing that it does not know."""
    assert len(trace.packet) > 50
    assert fields_unknown(trace) == 0
    assert trace.packet[0].sequence_flags == schema.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
    assert {packet.trusted_packet_sequence_id for packet in trace.packet} == {1}


def test_every_task_is_a_track(recording: Recording, trace: Any) -> None:
    """Under that of its loop, which is under the process; by its name and coroutine."""
    known = tracks(trace)
    called = [track.name for track in known.values()]
    assert {f"worker {number} work" for number in range(4)} <= set(called)
    assert {f"{task.name} {task.coroutine}" for task in recording.tasks.values()} <= set(called)
    for track in known.values():
        while track.parent_uuid:
            track = known[track.parent_uuid]
        assert track.process.pid == recording.meta["process"]


def test_slices_are_nested_and_in_order(trace: Any) -> None:
    """What begins on a track ends there, and nothing begins on it before."""
    depth: Counter[int] = Counter()
    for packet in points(trace):
        event = packet.track_event
        if event.type == event.TYPE_SLICE_BEGIN:
            depth[event.track_uuid] += 1
        elif event.type == event.TYPE_SLICE_END:
            depth[event.track_uuid] -= 1
        assert depth[event.track_uuid] in (0, 1)
        assert event.track_uuid in tracks(trace)
    assert set(depth.values()) == {0}


def test_steps_waits_and_wakes_are_all_there(recording: Recording, trace: Any) -> None:
    """As many as the recording has; each arrow from a wake ends at a step."""
    kinds = Counter(event.kind for event in recording.events())
    begun = Counter(
        packet.track_event.categories[0]
        for packet in points(trace)
        if packet.track_event.type == packet.track_event.TYPE_SLICE_BEGIN
    )
    # Steps are on the task's track and on the loop's.
    assert (begun["step"], begun["wait"], begun["call"]) == (2 * kinds["step"], kinds["wait"], kinds["call"])
    begins = [flow for packet in points(trace) for flow in packet.track_event.flow_ids]
    ends = [flow for packet in points(trace) for flow in packet.track_event.terminating_flow_ids]
    assert sorted(begins) == sorted(ends) == list(range(1, len(begins) + 1))
    wakers = [event.detail["by"]["kind"] for event in recording.events() if event.kind == "wake"]
    assert len(begins) == len([kind for kind in wakers if kind not in ("itself", "start")])


def test_names_and_tracks_come_before_they_are_used(trace: Any) -> None:
    """Readers go through the packets in the order of the file, whatever their times."""
    known: set[int] = set()
    called: set[int] = set()
    for packet in trace.packet:
        called.update(name.iid for name in packet.interned_data.event_names)
        if packet.HasField("track_descriptor"):
            assert packet.track_descriptor.parent_uuid in {0, *known}
            known.add(packet.track_descriptor.uuid)
        if packet.HasField("track_event"):
            event = packet.track_event
            assert event.track_uuid in known
            assert event.type == event.TYPE_SLICE_END or event.name_iid in called


def test_little_of_a_long_recording_is_held_in_memory(tmp_path: Path) -> None:
    """What is written is not kept."""
    path = tmp_path / "run.recording"
    recorder.record_to(path)
    try:
        hocket.run(turn(20_000))
    finally:
        recorder.stop()
    tracemalloc.start()
    try:
        with open(tmp_path / "run.pftrace", "wb") as file:
            perfetto.write(Recording(str(path)), file)
            written = file.tell()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written > 2_000_000
    assert most < written


async def turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def test_what_a_task_does_is_named(trace: Any) -> None:
    """Running, ready, and what it waits for; spans have tracks of their own under the task."""
    known, called = tracks(trace), names(trace)
    done: dict[str, set[str]] = defaultdict(set)
    for packet in points(trace):
        event = packet.track_event
        if event.type == event.TYPE_SLICE_BEGIN:
            done[known[event.track_uuid].name].add(called[event.name_iid])
    assert done["worker 2 work"] == {"ready", "running", "waits for Lock.acquire", "waits for a timer"}
    (spans,) = [track for track in known.values() if track.name == "work 2"]
    assert known[spans.parent_uuid].name == "worker 2 work"


# -- JSON lines


@pytest.fixture(scope="module")
def lines(recording: Recording) -> list[dict[str, Any]]:
    return [json.loads(line) for line in jsonl.lines(recording)]


def test_every_line_is_of_a_documented_kind(lines: list[dict[str, Any]]) -> None:
    """With fields that the documentation has for it, and no others."""
    page = DOCUMENTED.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE)
    documented = {kind: set(re.findall(r"`(\w+)`", fields)) for kind, fields in rows}
    common = {"event", "time", "loop", "task", "duration"}
    for line in lines:
        assert set(line) - common <= documented[line["event"]], line
    kinds = {line["event"] for line in lines}
    assert {"recording", "spawn", "wake", "step", "wait", "call", "turn", "done", "end"} <= kinds <= set(documented)


def test_the_first_and_the_last_line(recording: Recording, lines: list[dict[str, Any]]) -> None:
    """The first says of what process the recording is, the last what its loops have counted."""
    first, last = lines[0], lines[-1]
    assert (first["event"], first["schema"], first["process"]) == ("recording", 1, recording.meta["process"])
    assert (last["event"], last["overwritten"], last["tasks"]) == ("end", 0, [])
    steps = [line for line in lines if line["event"] == "step"]
    assert last["loops"][0]["steps"] == len(steps)


def test_lines_are_written(recording: Recording) -> None:
    """One an event, and nothing but that."""
    file = io.StringIO()
    jsonl.write(recording, file)
    assert file.getvalue().splitlines() == list(jsonl.lines(recording))
    assert len(list(recording.events())) + 2 == len(file.getvalue().splitlines())


# -- Collapsed stacks


def test_stacks_of_waits(recording: Recording) -> None:
    """Who made whom, what was waited for and where; the time is that of all tasks together."""
    stacks = collapsed.stacks(recording, "wait")
    (locks,) = [stack for stack in stacks if "Lock.acquire" in stack]
    at = r"\(test_recording_sinks.py:\d+\)"
    assert re.fullmatch(rf"run_work {at};work {at};waits for Lock.acquire at work {at}", locks)
    # Three wait, for one, two and three times 5 ms; the first of them less if it has begun late.
    assert stacks[locks] >= 14_000


def test_stacks_of_running_and_being_ready(recording: Recording) -> None:
    """Steps count for their task, calls for their loop; all lines have what flame graphs want."""
    for what in ("run", "ready"):
        file = io.StringIO()
        collapsed.write(recording, file, what)
        assert all(re.fullmatch(r"[^;]+(;[^;]+)* \d+", line) for line in file.getvalue().splitlines())
    total = sum(collapsed.stacks(recording, "run").values())
    lasted = sum(event.duration or 0 for event in recording.events() if event.kind in ("step", "call"))
    assert 0.5 * lasted / 1000 <= total <= lasted / 1000
    with pytest.raises(ValueError, match="expected one of run, ready, wait, got 'fun'"):
        collapsed.stacks(recording, "fun")


# -- Files that are none, or not whole


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """Is refused by name."""
    path = tmp_path / "other"
    for content in (b"", b"something else\n", recording_file.MAGIC):
        path.write_bytes(content)
        with pytest.raises(NotARecording, match="other"):
            Recording(str(path))


def test_a_recording_that_was_cut_off(tmp_path: Path) -> None:
    """Wherever it ends, what is there can be read: a process that was killed leaves such a file."""
    path = tmp_path / "run.recording"
    recorder.record_to(path)
    hocket.run(run_work())
    recorder.stop()
    whole = path.read_bytes()
    least = whole.index(b"RECS")
    lengths = []
    for length in [*range(least, len(whole), 997), len(whole)]:
        path.write_bytes(whole[:length])
        cut = Recording(str(path))
        lengths.append(len(list(cut.events())))
        assert (cut.reason is None) == (length < len(whole))
    assert lengths == sorted(lengths) and lengths[0] == 0 and lengths[-1] > 50
