"""Recordings in other formats, chosen by the end of the file's name; and the recording of a program's whole run."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from hocket.observe import recorder
from hocket.observe.recording import Recording
from hocket.observe.sinks import collapsed, jsonl, perfetto

#: The formats, each with the ends of names that stand for it.
FORMATS = {
    "recording": (".recording",),
    "perfetto": (".pftrace", ".perfetto-trace"),
    "jsonl": (".jsonl", ".ndjson"),
    "collapsed": (".collapsed", ".folded"),
}


def format_of(path: str) -> str:
    """The format that the name *path* stands for.  Raises `ValueError`, with the list, if it stands for none."""
    for name, ends in FORMATS.items():
        if path.endswith(ends):
            return name
    ends_of_all = ", ".join(f"{name} ({' '.join(ends)})" for name, ends in FORMATS.items())
    raise ValueError(f"cannot tell the format by the name {path!r}: expected one of {ends_of_all}")


def export(source: str, target: str, form: str, what: str = "run") -> Recording:
    """Write the recording *source* to the file *target* (``-``: standard output) in one of `FORMATS` but the first.

    *what* is for ``collapsed``: see there.  Raises `OSError` if a file cannot be read or written, and
    `hocket.observe.recording_file.NotARecording`.
    """
    recording = Recording(source)
    if form == "perfetto":
        with _binary(target) as file:
            perfetto.write(recording, file)
        return recording
    with _text(target) as file:
        if form == "jsonl":
            jsonl.write(recording, file)
        elif form == "collapsed":
            collapsed.write(recording, file, what)
        else:
            raise ValueError(f"expected one of {', '.join(list(FORMATS)[1:])}, got {form!r}")
    return recording


@contextlib.contextmanager
def _binary(target: str) -> Iterator[Any]:
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with open(target, "wb") as file:
        yield file


@contextlib.contextmanager
def _text(target: str) -> Iterator[TextIO]:
    if target == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    with open(target, "w", encoding="utf-8", newline="\n") as file:
        yield file


def record_run(path: str, form: str) -> None:
    """Record from now on until the process exits, and then have it in the file *path* in this format; ``hocket record``
    calls it.  What comes of it is said on stderr."""
    # A program that does not come to its end leaves this one.
    raw = path if form == "recording" else path + ".recording"
    mine = recorder.record_to(raw)
    atexit.register(_finish, mine, raw, path, form)


def _finish(mine: recorder.Recorder, raw: str, path: str, form: str) -> None:
    # In a child that was forked it is not recording any more; nor if the program has put an end to it.
    if recorder.current() is not mine:
        return
    recorder.stop()
    told = f"{mine.ring.written:,} records"
    if mine.ring.overwritten():
        told += f", {mine.ring.overwritten():,} of them lost ({os.strerror(mine.ring.spill_error)})"
    try:
        if form != "recording":
            export(raw, path, form)
            os.unlink(raw)
    except OSError as error:
        told = f"{told}; cannot write {path}: {error.strerror or error}; they are in {raw}"
    else:
        told = f"{told} in {path}"
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no stderr, or nobody reads it any more
        print(f"hocket: {told}", file=sys.stderr, flush=True)
