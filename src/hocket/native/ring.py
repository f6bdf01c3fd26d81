"""The flight recorder's memory: a ring of records of one size, the oldest of which is overwritten.

A record is 48 bytes: what happened (``kind`` and ``detail``), on which loop, at which place of the program, from when
to when in ticks, and three numbers whose meaning depends on the kind, see below.  Nothing is allocated for one, and
nothing is looked up but what is known already: a place of the program (code and how far it had come) and a type bear a
number, which they are given when they are met first.

With a descriptor to spill to, nothing is overwritten: half of the ring is written there whenever it is full.

It is written by whoever holds the interpreter's lock.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from types import BuiltinMethodType, CodeType, CoroutineType, FunctionType, GeneratorType, MethodType
from typing import Any

# The kinds of records, each with what its numbers mean.  An *identity* is where an object is in memory (48 bits) and,
# above that, the number of its type; times are in ticks.
#: A step of a task.  From when to when it ran; a: the task's number, b: since when it had been ready, c: what it waits
#: for from now on (`WAITS_FOR_TASK`: a task's number, else an identity).  The place is where it stands.  ``detail`` is
#: how the step ended, `YIELDED` and so on, and `EAGER` or `WITHIN`.
STEP = 1
#: A call of what is not a task.  a: the identity of what was called, or of the object whose method it is; b: since when
#: it had been ready.  The place is where the function begins, 0: not one of Python's.  ``detail``: `SOON` and so on.
CALL = 2
#: A turn of the loop: from the time at which it asked the driver, or would have, until it began to run what was ready.
#: a: its number, b: when the driver had answered (0: it was not asked), c: how many were ready.
TURN = 3
#: A task was made.  The place is where; ``end``: the identity of its coroutine, a: its number, b: its parent's number,
#: c: the place of its coroutine's code.
SPAWN = 4
#: A task has ended: `FINISHED`, `FAILED` or `CANCELLED`.  The place is its coroutine's code; a: its number, b: the
#: identity of the exception.  Text: its name, if somebody gave it one.
DONE = 5
#: Text: that of the record before it.
TEXT = 6
#: The driver has reported a descriptor, whose reader or writer is ready from now on.  ``detail`` is `READABLE` (1),
#: `WRITABLE` (2) or both, a: the descriptor.
IO = 7
#: A timer was set.  a: the identity of what it will wake, b: in how many nanoseconds.
TIMER = 8
#: Somebody asked to cancel a task.  a: the task's number, b: the number of the task that asked, or 0.
CANCEL = 9
#: A step was in the way of all others.  From when until when (0: it lasts still); a: the task's number, or 0.  Text:
#: why.
BLOCKED = 10
#: A span of the program's own begins, and ends.  a: the number of the task that it is in, b: its own number.  Text: its
#: name.
SPAN_BEGIN = 11
SPAN_END = 12
#: A mark of the program's own.  a: the number of the task that made it.  Text: its name.
MARK = 13
#: The garbage collector ran, from when to when.  a: the generation, b: how many objects it freed.
COLLECTED = 14
#: A task that has not ended when its loop is closed.  a: its number; the place is where it stands.  Text: its name.
LEFT = 15
#: Bytes have gone through descriptors, in the step or the call that is the record before it; after a turn's end those
#: that were gathered until then.  a: how many were received, b: how many were sent.
TRAFFIC = 16

# How a step ended: it let the others go first, ended for good, or waits.
YIELDED = 0
ENDED = 1
WAITS_FOR_FUTURE = 2
WAITS_FOR_TASK = 3
#: One of hocket's own primitives: the identity is that of the primitive with the type of the operation, `Lock.acquire`.
WAITS_FOR_OPERATION = 4
#: A future of somebody else's class.
WAITS_FOR_FOREIGN = 5
HOW_IT_ENDED = 15
#: The step was the first, and ran inside of whoever made the task.
EAGER = 64
#: The step ran inside of a callback, which is a record of its own.
WITHIN = 128

# What was called: what `call_soon` was given; a timer; what another thread gave; something of the loop's own.
SOON = 0
TIMED = 1
FROM_THREAD = 2
OWN = 3

FINISHED = 0
FAILED = 1
CANCELLED = 2

#: What a record is: kind, detail, loop, place; from when, until when; three numbers.
LAYOUT = struct.Struct("=BBHIQQQQQ")
#: The bytes of a record, and how many of them text may fill.
RECORD_SIZE = 48
TEXT_SIZE = 40
#: So many records of text one text may take.
_MOST_TEXT = 5
#: How a stretch of records begins in the file that the ring spills to, with its length in bytes behind.
CHUNK = struct.Struct("=4sQ")
RECORDS = b"RECS"

_MOST_NAMES = 65_535
_WRITTEN = (1 << 64) - 1


class Names:
    """Numbers for objects that are met again and again: from 1 on; 0 is for those that came when it was full.

    ``known`` are the objects, each with its offset: that which bears the number 1 first.  They live as long as this.
    Code whose file begins with one of *libraries* is taken for a library's.  ``listener(number, object, offset)`` is
    told of each new one.
    """

    def __init__(self, libraries: tuple[str, ...] = ()) -> None:
        self._libraries = libraries
        self._numbers: dict[tuple[int, int], tuple[int, bool]] = {}
        self.known: list[tuple[Any, int]] = []
        self.refused = 0
        self.listener: Callable[[int, Any, int], object] | None = None
        self._lock = threading.RLock()

    def number(self, it: Any, offset: int) -> int:
        """The number of *it* at *offset*."""
        return self.look_up(it, offset)[0]

    def look_up(self, it: Any, offset: int) -> tuple[int, bool]:
        """The number of *it* at *offset*, and whether it is a library's."""
        found = self._numbers.get((id(it), offset))
        if found is not None:
            return found
        with self._lock:
            return self._take_down(it, offset)

    def _take_down(self, it: Any, offset: int) -> tuple[int, bool]:
        found = self._numbers.get((id(it), offset))
        if found is not None:
            return found
        if len(self.known) == _MOST_NAMES:
            self.refused += 1
            return 0, True
        entry = (it, offset)
        self.known.append(entry)
        number = len(self.known)
        while self.known[number - 1] is not entry:  # The collector has run, and had something to record.
            number -= 1
        found = number, isinstance(it, CodeType) and it.co_filename.startswith(self._libraries)
        self._numbers[id(it), offset] = found
        if self.listener is not None:
            self.listener(found[0], it, offset)
        return found


class Ring:
    """A ring of *records* records, a power of two.

    ``written`` is how many there have been, ``spill_error`` the number of the system's error that ended the spilling.
    """

    def __init__(self, records: int, libraries: tuple[str, ...] = ()) -> None:
        if records < 2 or records & (records - 1):
            raise ValueError(f"expected a power of two as the number of records, got {records!r}")
        self._memory = bytearray(records * RECORD_SIZE)
        self._mask = records - 1
        self._limit = _WRITTEN
        self._half = records // 2
        # So many have been taken out of the ring, or were overwritten before that began.
        self._spilled = 0
        self._lost = 0
        self._fd = -1
        self._lock = threading.RLock()
        self.written = 0
        self.spill_error = 0
        self.places = Names(libraries)
        self.types = Names()

    def capacity(self) -> int:
        """How many records there is room for."""
        return self._mask + 1

    def overwritten(self) -> int:
        """How many records are lost."""
        return self._lost + max(self.written - self._spilled - self.capacity(), 0)

    def note(self, kind: int, detail: int, loop: int, place: int, time: int, end: int, a: int, b: int, c: int) -> None:
        """Write one record."""
        self._put(LAYOUT.pack(kind, detail, loop & 0xFFFF, place, time, end, a, b, c))

    def say(self, text: str) -> None:
        """Write *text*, which belongs to the record before it."""
        data = text.encode("utf-8", "replace")[: _MOST_TEXT * TEXT_SIZE]
        for begin in range(0, len(data), TEXT_SIZE):
            piece = data[begin : begin + TEXT_SIZE]
            self._put(LAYOUT.pack(TEXT, len(piece), 0, 0, 0, 0, 0, 0, 0)[:8] + piece.ljust(TEXT_SIZE, b"\0"))

    def _put(self, record: bytes) -> None:
        with self._lock:
            if self.written == self._limit:
                self._make_room()
            begin = (self.written & self._mask) * RECORD_SIZE
            self._memory[begin : begin + RECORD_SIZE] = record
            self.written += 1

    def place(self, code: CodeType | None, offset: int) -> int:
        """The number of a place of the program; 0 for none."""
        return 0 if code is None else self.places.number(code, offset)

    def identity(self, it: Any) -> int:
        """Who *it* is: where it is in memory, and above that the number of its type."""
        return self.identity_as(it, it)

    def identity_as(self, it: Any, typed: Any) -> int:
        """`identity` of *it*, with the type of *typed*."""
        return (id(it) & 0xFFFFFFFFFFFF) | self.types.number(type(typed), 0) << 48

    def owner(self, callable: Any) -> int:
        """`identity` of the object whose method *callable* is, or else of itself."""
        if isinstance(callable, (MethodType, BuiltinMethodType)) and callable.__self__ is not None:
            return self.identity(callable.__self__)
        return self.identity(callable)

    def function(self, callable: Any) -> int:
        """The number of the place at which a function begins; 0 if it is not a function of Python's."""
        if isinstance(callable, MethodType):
            callable = callable.__func__
        return self.places.number(callable.__code__, 0) if isinstance(callable, FunctionType) else 0

    def standing(self, coroutine: Any) -> int:
        """The number of the place at which *coroutine* is suspended: the innermost that is not a library's, if any."""
        last = last_of_program = 0
        frame: Any
        while True:
            if type(coroutine) is CoroutineType and coroutine.cr_suspended:
                frame, awaited = coroutine.cr_frame, coroutine.cr_await
            elif type(coroutine) is GeneratorType and coroutine.gi_suspended:
                frame, awaited = coroutine.gi_frame, None
            else:
                break
            last, is_library = self.places.look_up(frame.f_code, frame.f_lasti)
            if not is_library:
                last_of_program = last
            coroutine = awaited
        return last_of_program or last

    # -- For callers that are not compiled

    def write(
        self, kind: int, detail: int, loop: int, place: int, time: int, end: int, a: int, b: int, c: int, text: str = ""
    ) -> None:
        """`note`, and `say` if there is *text*."""
        with self._lock:
            self.note(kind, detail, loop, place, time, end, a, b, c)
            if text:
                self.say(text)

    def identify(self, it: Any) -> int:
        """`identity`."""
        return self.identity(it)

    def place_of(self, code: CodeType | None, offset: int) -> int:
        """`place`."""
        return self.place(code, offset)

    def place_of_function(self, callable: Any) -> int:
        """`function`."""
        return self.function(callable)

    def place_of_suspended(self, coroutine: Any) -> int:
        """`standing`."""
        return self.standing(coroutine)

    # -- Reading

    def contents(self) -> bytes:
        """The records that are there, the oldest first."""
        with self._lock:
            first = max(self.written - self.capacity(), self._spilled)
            begin, end = (first & self._mask) * RECORD_SIZE, (self.written & self._mask) * RECORD_SIZE
            if first == self.written:
                return b""
            if begin < end:
                return bytes(self._memory[begin:end])
            return bytes(self._memory[begin:]) + bytes(self._memory[:end])

    # -- Spilling

    def spill_to(self, fd: int) -> None:
        """From now on, write to the descriptor *fd*, which must be a file's, what would be overwritten."""
        self._lost = self.overwritten()
        self._spilled = max(self.written - self.capacity(), self._spilled)
        self._fd = fd
        self._limit = self._spilled + self.capacity()

    def flush(self) -> None:
        """Write what is there, and spill no more."""
        if self._fd < 0:
            return
        with self._lock:
            if self._write(self.contents()):
                self._spilled = self.written
        self._fd = -1
        self._limit = _WRITTEN

    def _make_room(self) -> None:
        begin = (self._spilled & self._mask) * RECORD_SIZE
        if begin + self._half * RECORD_SIZE > len(self._memory):
            piece = self._memory[begin:] + self._memory[: begin + self._half * RECORD_SIZE - len(self._memory)]
        else:
            piece = self._memory[begin : begin + self._half * RECORD_SIZE]
        if self._write(bytes(piece)):
            self._spilled += self._half
            self._limit = self._spilled + self.capacity()
        else:
            # What comes now overwrites what nobody has taken.
            self._fd = -1
            self._limit = _WRITTEN

    def _write(self, piece: bytes) -> bool:
        data = memoryview(CHUNK.pack(RECORDS, len(piece)) + piece)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self.spill_error = error.errno or -1
            return False
        return True
