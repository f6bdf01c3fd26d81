"""Compiled twin of ``ring.py``: see there."""

import struct
from types import CodeType

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.errno cimport EINTR, errno
from libc.string cimport memcpy, memset

cdef extern from "unistd.h":
    Py_ssize_t c_write "write"(int fd, const void *data, size_t size) noexcept

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

LAYOUT = struct.Struct("=BBHIQQQQQ")
RECORD_SIZE = 48
TEXT_SIZE = 40
CHUNK = struct.Struct("=4sQ")
RECORDS = b"RECS"

cdef enum:
    SIZE = 48
    PIECE = 40
    MOST_TEXT = 5
    MOST_NAMES = 65535

# As Python's names, too: those of the twin.
globals().update(
    STEP=STEP,
    CALL=CALL,
    TURN=TURN,
    SPAWN=SPAWN,
    DONE=DONE,
    TEXT=TEXT,
    IO=IO,
    TIMER=TIMER,
    CANCEL=CANCEL,
    BLOCKED=BLOCKED,
    SPAN_BEGIN=SPAN_BEGIN,
    SPAN_END=SPAN_END,
    MARK=MARK,
    COLLECTED=COLLECTED,
    LEFT=LEFT,
    TRAFFIC=TRAFFIC,
    YIELDED=YIELDED,
    ENDED=ENDED,
    WAITS_FOR_FUTURE=WAITS_FOR_FUTURE,
    WAITS_FOR_TASK=WAITS_FOR_TASK,
    WAITS_FOR_OPERATION=WAITS_FOR_OPERATION,
    WAITS_FOR_FOREIGN=WAITS_FOR_FOREIGN,
    HOW_IT_ENDED=HOW_IT_ENDED,
    EAGER=EAGER,
    WITHIN=WITHIN,
    SOON=SOON,
    TIMED=TIMED,
    FROM_THREAD=FROM_THREAD,
    OWN=OWN,
    FINISHED=FINISHED,
    FAILED=FAILED,
    CANCELLED=CANCELLED,
)

cdef unsigned long long NEVER = <unsigned long long>-1

cdef Slot _nowhere
_nowhere.it = NULL
_nowhere.offset = 0
_nowhere.number = 0
_nowhere.library = True


# Cython takes these decorators from the definition, not from the .pxd.
@cython.final
cdef class Names:

    def __cinit__(self, tuple libraries not None=()):
        self._slots = <Slot *>PyMem_Calloc(256, sizeof(Slot))
        if self._slots == NULL:
            raise MemoryError
        self._mask = 255
        self._libraries = libraries
        self.known = []
        self.refused = 0
        self.listener = None

    def __dealloc__(self):
        PyMem_Free(self._slots)

    cdef Slot *_add(self, PyObject *it, int offset, size_t index) noexcept:
        cdef Slot slot
        cdef bint library = False
        if len(self.known) == MOST_NAMES:
            self.refused += 1
            return &_nowhere
        try:
            wanted = <object>it
            if type(wanted) is CodeType:
                library = wanted.co_filename.startswith(self._libraries)
            if (len(self.known) + 1) * 2 > <Py_ssize_t>self._mask:
                self._grow()
                index = self._free_place(it, offset)
            self.known.append((wanted, offset))
        except MemoryError:
            self.refused += 1
            return &_nowhere
        slot.it = it
        slot.offset = offset
        slot.number = <unsigned int>len(self.known)
        slot.library = library
        self._slots[index] = slot
        if self.listener is not None:
            try:
                self.listener(slot.number, wanted, offset)
            except Exception:
                self.listener = None  # What it would have been told of is in `known`.
            index = self._free_place(it, offset)  # It may have met new ones itself.
        return &self._slots[index]

    cdef size_t _free_place(self, PyObject *it, int offset) noexcept:
        cdef size_t index = self._home(it, offset)
        while self._slots[index].it != NULL and (self._slots[index].it != it or self._slots[index].offset != offset):
            index = (index + 1) & self._mask
        return index

    cdef int _grow(self) except -1:
        cdef size_t size = (self._mask + 1) * 2
        cdef size_t old_size = self._mask + 1
        cdef Slot *old = self._slots
        cdef Slot *slots = <Slot *>PyMem_Calloc(size, sizeof(Slot))
        cdef size_t index
        if slots == NULL:
            raise MemoryError
        self._slots = slots
        self._mask = size - 1
        for index in range(old_size):
            if old[index].it != NULL:
                slots[self._free_place(old[index].it, old[index].offset)] = old[index]
        PyMem_Free(old)
        return 0

    def number(self, it, int offset):
        return self.find(<PyObject *>it, offset).number

    def look_up(self, it, int offset):
        cdef Slot *slot = self.find(<PyObject *>it, offset)
        return slot.number, bool(slot.library)


@cython.final
cdef class Ring:

    def __cinit__(self, Py_ssize_t records, tuple libraries not None=()):
        if records < 2 or records & (records - 1):
            raise ValueError(f"expected a power of two as the number of records, got {records!r}")
        # The system hands out the pages when they are written to first.
        self._records = <Record *>PyMem_Calloc(records, sizeof(Record))
        if self._records == NULL:
            raise MemoryError
        self._mask = records - 1
        self._limit = NEVER
        self._half = records // 2
        self._spilled = 0
        self._lost = 0
        self._fd = -1
        self.written = 0
        self.spill_error = 0
        self.places = Names(libraries)
        self.types = Names()

    def __dealloc__(self):
        PyMem_Free(self._records)

    def capacity(self):
        return self._mask + 1

    def overwritten(self):
        cdef unsigned long long kept = self._spilled + self._mask + 1
        return self._lost + (self.written - kept if self.written > kept else 0)

    cdef void say(self, text) noexcept:
        cdef const char *data
        cdef Py_ssize_t size
        cdef Py_ssize_t piece
        cdef int count = 0
        cdef Record *record
        try:
            data = PyUnicode_AsUTF8AndSize(text, &size)
        except UnicodeError:
            text = text.encode("utf-8", "replace").decode()
            data = PyUnicode_AsUTF8AndSize(text, &size)
        while size > 0 and count < MOST_TEXT:
            piece = size if size < PIECE else PIECE
            if self.written == self._limit:
                self._make_room()
            record = &self._records[self.written & self._mask]
            self.written += 1
            memset(record, 0, SIZE)
            record.kind = TEXT
            record.detail = <unsigned char>piece
            memcpy(<char *>record + SIZE - PIECE, data, piece)
            data += piece
            size -= piece
            count += 1

    cdef unsigned int standing(self, object coroutine) noexcept:
        cdef PyObject *it = <PyObject *>coroutine
        cdef PyObject *awaited
        cdef PyObject *code
        cdef Slot *slot
        cdef int offset
        cdef unsigned int last = 0
        cdef unsigned int last_of_program = 0
        while it != NULL:
            code = hocket_suspended_in(it, &offset, &awaited)
            if code == NULL:
                break
            slot = self.places.find(code, offset)
            last = slot.number
            if not slot.library:
                last_of_program = last
            it = awaited
        return last_of_program if last_of_program else last

    # -- For callers that are not compiled

    def write(
        self,
        int kind,
        int detail,
        unsigned int loop,
        unsigned int place,
        unsigned long long time,
        unsigned long long end,
        unsigned long long a,
        unsigned long long b,
        unsigned long long c,
        str text not None="",
    ):
        self.note(kind, detail, loop, place, time, end, a, b, c)
        if text:
            self.say(text)

    def identify(self, it):
        return self.identity(it)

    def place_of(self, code, int offset):
        return self.place(code, offset)

    def place_of_function(self, callable):
        return self.function(callable)

    def place_of_suspended(self, coroutine):
        return self.standing(coroutine)

    # -- Reading

    def contents(self):
        return self._contents()

    cdef bytes _contents(self):
        cdef unsigned long long first = self._spilled
        cdef unsigned long long begin
        cdef unsigned long long count
        cdef unsigned long long until_end
        cdef bytes data
        if self.written > self._mask + 1 and self.written - self._mask - 1 > first:
            first = self.written - self._mask - 1
        count = self.written - first
        data = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(count * SIZE))
        # Allocating may have run somebody's code, which has written something.
        begin = first & self._mask
        until_end = self._mask + 1 - begin
        if count <= until_end:
            memcpy(PyBytes_AS_STRING(data), &self._records[begin], count * SIZE)
        else:
            memcpy(PyBytes_AS_STRING(data), &self._records[begin], until_end * SIZE)
            memcpy(PyBytes_AS_STRING(data) + until_end * SIZE, self._records, (count - until_end) * SIZE)
        return data

    # -- Spilling

    def spill_to(self, int fd):
        cdef unsigned long long oldest = 0
        self._lost = self.overwritten()
        if self.written > self._mask + 1:
            oldest = self.written - self._mask - 1
        if oldest > self._spilled:
            self._spilled = oldest
        self._fd = fd
        self._limit = self._spilled + self._mask + 1

    def flush(self):
        if self._fd < 0:
            return
        if self._write_out(self.written - self._spilled):
            self._spilled = self.written
        self._fd = -1
        self._limit = NEVER

    cdef void _make_room(self) noexcept:
        if self._write_out(self._half):
            self._spilled += self._half
            self._limit = self._spilled + self._mask + 1
        else:
            # What comes now overwrites what nobody has taken.
            self._fd = -1
            self._limit = NEVER

    cdef bint _write_out(self, unsigned long long count) noexcept:
        """Write the oldest *count* records that have not been written."""
        cdef char header[12]
        cdef unsigned long long size = count * SIZE
        cdef unsigned long long begin = self._spilled & self._mask
        cdef unsigned long long until_end = self._mask + 1 - begin
        memcpy(header, b"RECS", 4)
        memcpy(header + 4, &size, 8)
        if not self._write_all(header, 12):
            return False
        if count <= until_end:
            return self._write_all(<char *>&self._records[begin], size)
        return self._write_all(<char *>&self._records[begin], until_end * SIZE) and self._write_all(
            <char *>self._records, (count - until_end) * SIZE
        )

    cdef bint _write_all(self, const char *data, unsigned long long size) noexcept:
        cdef Py_ssize_t count
        while size > 0:
            count = c_write(self._fd, data, size)
            if count < 0:
                if errno == EINTR:
                    continue
                self.spill_error = errno
                return False
            data += count
            size -= count
        return True
