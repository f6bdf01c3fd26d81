"""A recording as JSON lines: one event a line, for ``jq``, pandas and programs of one's own.

The first line is about the recording, ``{"event": "recording", ...}``; the last one, ``{"event": "end", ...}``, has the
counters of the loops.  All others have:

============  ==================================================================================================
``event``     ``spawn wake step wait done call turn io timer cancel blocked span mark collection left
              traffic``
``time``      when it was or began, in nanoseconds since the epoch
``duration``  how long it took, in nanoseconds; only of what takes time
``loop``      the loop's number
``task``      the task's number; only of what is about a task
============  ==================================================================================================

and what is documented in ``docs/observe-recorder.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TextIO

from hocket.observe.recording import Recording

#: Of the lines themselves.  It grows when something changes that a reader must know of.
SCHEMA = 1


def write(recording: Recording, file: TextIO) -> None:
    """Write *recording* to *file*."""
    for line in lines(recording):
        file.write(line)
        file.write("\n")


def lines(recording: Recording) -> Iterator[str]:
    """The lines of *recording*, without their ends."""
    meta = {key: recording.meta[key] for key in ("hocket", "compiled", "python", "process", "command")}
    began = int(recording.meta["time"] * 1e9)
    yield _json({"event": "recording", "schema": SCHEMA, "time": began, "reason": recording.reason, **meta})
    for event in recording.events():
        line = {"event": event.kind, "time": event.time, "loop": event.loop}
        if event.duration is not None:
            line["duration"] = event.duration
        if event.task:
            line["task"] = event.task
        yield _json(line | event.detail)
    yield _json(
        {
            "event": "end",
            "records": recording.written,
            "overwritten": recording.overwritten,
            "error": recording.error,
            "loops": list(recording.loops.values()),
            "tasks": recording.live,
        }
    )


def _json(line: dict[str, object]) -> str:
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)
