"""The file in which a recording is kept: how it is written, and taken apart again.

It begins with a line that says what it is, and goes on in chunks: four letters, the length in eight bytes, and that
many bytes.  ``RECS`` is a stretch of the ring's records as they were in memory (`hocket.native.ring` says what they
mean); all others are JSON:

========  =====================================================================================================
``META``  the process, and how ticks become time; first of all
``PLAC``  places of the program: ``[number, file, line, function]`` each
``TYPE``  types: ``[number, name]`` each
``LOOP``  the counters of a loop when it was closed
``LIVE``  the loops and tasks that there were when the recording was written down
``END.``  how many records there have been, and how many were lost; a file without it was cut off in the middle
========  =====================================================================================================

Chunks may come in any order and number, and a reader passes over those that it does not know.
"""

from __future__ import annotations

import json
import os
import platform
import struct
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any

from hocket.native.frames import line_of
from hocket.native.measure import now_in_ticks, ticks_per_second
from hocket.native.ring import CHUNK, RECORD_SIZE, RECORDS, TEXT, Ring

MAGIC = b"hocket recording 1\n"

_TIMES = struct.Struct("=B7xQQ")


class NotARecording(Exception):
    """The file is not what `Writer` writes."""


class Writer:
    """Writes a recording to the file *path*, which it makes, for its owner only to read.

    *began* is a moment by two clocks: `time.time`, and ticks.  The parts may be written in any order.
    """

    def __init__(self, path: str, began: tuple[float, int]) -> None:
        import hocket

        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self._write(MAGIC)
            self._chunk(
                b"META",
                {
                    "hocket": hocket.__version__,
                    "compiled": hocket.is_compiled(),
                    "python": platform.python_version(),
                    "process": os.getpid(),
                    "command": sys.orig_argv,
                    "byteorder": sys.byteorder,
                    "record_size": RECORD_SIZE,
                    "time": began[0],
                    "ticks": began[1],
                    "ticks_per_second": ticks_per_second(),
                },
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor of the file, for a `Ring` to spill to."""
        return self._fd

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def disown(self) -> None:
        """In the child of a fork: write nothing any more."""
        self.close()

    def names(self, ring: Ring) -> None:
        """All places and types that *ring* knows."""
        places = [[number, *place_of(*known)] for number, known in enumerate(list(ring.places.known), 1)]
        types = [[number, type_name(known[0])] for number, known in enumerate(list(ring.types.known), 1)]
        self._chunk(b"PLAC", places)
        self._chunk(b"TYPE", types)

    def place(self, number: int, code: CodeType, offset: int) -> None:
        """A place that has got this *number*."""
        self._chunk(b"PLAC", [[number, *place_of(code, offset)]])

    def type(self, number: int, kind: Any, offset: int) -> None:
        """A type that has got this *number*."""
        self._chunk(b"TYPE", [[number, type_name(kind)]])

    def records(self, contents: bytes) -> None:
        """A stretch of records."""
        self._write(CHUNK.pack(RECORDS, len(contents)))
        self._write(contents)

    def loop(self, facts: dict[str, Any]) -> None:
        """The counters of a loop that is closed."""
        self._chunk(b"LOOP", facts)

    def live(self, state: dict[str, Any]) -> None:
        """What there is at the end."""
        self._chunk(b"LIVE", state)

    def end(self, written: int, overwritten: int, reason: str, spill_error: int = 0) -> None:
        """The end: how many records there were, how many of them are lost, and why this was written."""
        self._chunk(
            b"END.",
            {
                "written": written,
                "overwritten": overwritten,
                "reason": reason,
                "error": os.strerror(spill_error) if spill_error > 0 else None,
                "ticks": now_in_ticks(),
                "ticks_per_second": ticks_per_second(),
            },
        )

    def _chunk(self, tag: bytes, content: Any) -> None:
        data = json.dumps(content, separators=(",", ":")).encode()
        # In one piece: the ring, which writes by itself, must not come in between.
        self._write(CHUNK.pack(tag, len(data)) + data)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]


def place_of(code: CodeType, offset: int) -> list[Any]:
    """File, line and function of a place; the line at which the function begins for an offset of 0."""
    line = code.co_firstlineno if offset <= 0 else line_of(code, offset)
    return [code.co_filename, line, code.co_qualname]


def type_name(kind: Any) -> str:
    """What *kind* is called: an operation by its method (``Lock.acquire``), any other type by its name."""
    name = getattr(kind, "_name", None)
    return name if isinstance(name, str) else str(kind.__qualname__)


def records_since(contents: bytes, ticks: int) -> bytes:
    """The part of *contents* that begins with the first record that is not over before *ticks*."""
    count = len(contents) // RECORD_SIZE
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        at = middle
        kind, begin, end = _TIMES.unpack_from(contents, at * RECORD_SIZE)
        while kind == TEXT and at > 0:
            at -= 1
            kind, begin, end = _TIMES.unpack_from(contents, at * RECORD_SIZE)
        # The end of a step or a call; other kinds have something else there, or nothing.
        if max(begin, end if kind <= 3 else 0) < ticks:
            low = middle + 1
        else:
            high = middle
    return contents[low * RECORD_SIZE :]


def chunks(path: str) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of the file *path*, as far as it goes; `NotARecording` if it is not one."""
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise NotARecording(f"{path} is not a recording of this version of hocket")
        while True:
            head = file.read(CHUNK.size)
            if len(head) < CHUNK.size:
                return
            tag, length = CHUNK.unpack(head)
            data = file.read(length)
            if tag == RECORDS:
                data = data[: len(data) // RECORD_SIZE * RECORD_SIZE]
            elif len(data) < length:
                return
            yield tag, data
