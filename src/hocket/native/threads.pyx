"""Compiled twin of ``threads.py``: see there."""

import threading

from libc.stdio cimport snprintf, sscanf
from libc.string cimport memset, strlen, strrchr
from posix.unistd cimport close as c_close
from posix.unistd cimport pread

cdef extern from "fcntl.h" nogil:
    int c_open "open"(const char *path, int flags, ...)
    enum:
        O_RDONLY
        O_CLOEXEC

cdef extern from *:
    """
    #ifndef Py_BUILD_CORE
    #define Py_BUILD_CORE 1
    #endif
    #undef _PyGC_FINALIZED  /* Defined anew, the same. */
    #include "internal/pycore_frame.h"
    #include "internal/pycore_interp.h"
    #include "internal/pycore_runtime.h"
    #if PY_VERSION_HEX >= 0x030E0000
    #include "internal/pycore_interpframe.h"
    #endif
    #include <pthread.h>
    #include <string.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <unistd.h>

    static int hocket_peek(void *into, const void *at, size_t size) {
        struct iovec to = {into, size}, from = {(void *)at, size};
        return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)size;
    }

    /* -- Who has the interpreter */

    static struct _gil_runtime_state *hocket_gil;

    static void hocket_find_gil(void) {
    #ifdef Py_GIL_DISABLED
        hocket_gil = NULL;
    #elif PY_VERSION_HEX >= 0x030C0000
        hocket_gil = PyInterpreterState_Get()->ceval.gil;
    #else
        hocket_gil = &_PyRuntime.ceval.gil;
    #endif
    }
    static void *hocket_lock_holder(void) {
        if (hocket_gil == NULL)
            return NULL;
    #if PY_VERSION_HEX >= 0x030D0000
        if (*(volatile int *)&hocket_gil->locked <= 0)
            return NULL;
        return *(void *volatile *)&hocket_gil->last_holder;
    #else
        if (hocket_gil->locked._value <= 0)
            return NULL;
        return (void *)hocket_gil->last_holder._value;
    #endif
    }
    static unsigned long long hocket_switch_interval(void) {
        return hocket_gil == NULL ? 5000 : *(volatile unsigned long *)&hocket_gil->interval;
    }

    /* -- Threads */

    static PyThreadState *hocket_state_of(unsigned long thread) {
        PyThreadState *state = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
        while (state != NULL && state->thread_id != thread)
            state = PyThreadState_Next(state);
        return state;
    }
    static unsigned long hocket_thread_of(PyThreadState *state) {
        unsigned long thread;
        return state != NULL && hocket_peek(&thread, &state->thread_id, sizeof(thread)) ? thread : 0;
    }
    static int hocket_cpu_clock(PyThreadState *state, int *clock) {
        clockid_t found;
        if (pthread_getcpuclockid((pthread_t)state->thread_id, &found) != 0)
            return 0;
        *clock = (int)found;
        return 1;
    }
    static unsigned long long hocket_read_clock(int clock) {
        struct timespec now;
        if (clock_gettime((clockid_t)clock, &now) != 0)
            return 0;
        return (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec;
    }

    /* -- Frames */

    static _PyInterpreterFrame *hocket_top(PyThreadState *state) {
        _PyInterpreterFrame *frame = NULL;
    #if PY_VERSION_HEX >= 0x030D0000
        if (!hocket_peek(&frame, &state->current_frame, sizeof(frame)))
            return NULL;
    #else
        __typeof__(state->cframe) entry;
        if (!hocket_peek(&entry, &state->cframe, sizeof(entry))
            || !hocket_peek(&frame, &entry->current_frame, sizeof(frame)))
            return NULL;
    #endif
        return frame;
    }
    static _Py_CODEUNIT *hocket_instruction(const _PyInterpreterFrame *frame) {
    #if PY_VERSION_HEX >= 0x030D0000
        return frame->instr_ptr;
    #else
        return frame->prev_instr;
    #endif
    }
    static PyCodeObject *hocket_code(const _PyInterpreterFrame *frame) {
    #if PY_VERSION_HEX >= 0x030E0000
        return (PyCodeObject *)(frame->f_executable.bits & ~(uintptr_t)3);
    #elif PY_VERSION_HEX >= 0x030D0000
        return (PyCodeObject *)frame->f_executable;
    #else
        return frame->f_code;
    #endif
    }
    #define HOCKET_FRAME_SIZE offsetof(_PyInterpreterFrame, localsplus)

    /* A frame that executes code of somebody's; false: it is part of the interpreter's own machinery. */
    static int hocket_read_frame(
        const _PyInterpreterFrame *at, _PyInterpreterFrame *frame, PyCodeObject *code, int *unit
    ) {
        const char *begin;
        memset(frame, 0, sizeof(*frame));
        if (!hocket_peek(frame, at, HOCKET_FRAME_SIZE))
            return -1;
        begin = (const char *)hocket_code(frame);
    #if PY_VERSION_HEX >= 0x030E0000
        if (frame->owner >= FRAME_OWNED_BY_INTERPRETER)
            return 0;
    #elif PY_VERSION_HEX >= 0x030C0000
        if (frame->owner == FRAME_OWNED_BY_CSTACK)
            return 0;
    #endif
        if (begin == NULL || !hocket_peek(code, begin, offsetof(PyCodeObject, co_code_adaptive))
            || Py_TYPE((PyObject *)code) != &PyCode_Type)
            return 0;
        begin += offsetof(PyCodeObject, co_code_adaptive);
        *unit = (int)(((const char *)hocket_instruction(frame) - begin) / (int)sizeof(_Py_CODEUNIT));
        return frame->owner == FRAME_OWNED_BY_GENERATOR || *unit >= code->_co_firsttraceable;
    }
    static size_t hocket_position(PyThreadState *state) {
        _PyInterpreterFrame frame, *top = state == NULL ? NULL : hocket_top(state);
        if (top == NULL || !hocket_peek(&frame, top, HOCKET_FRAME_SIZE))
            return 0;
        return (size_t)top ^ (size_t)hocket_instruction(&frame);
    }

    /* -- Lines: the format is described in CPython's Objects/locations.md (InternalDocs/code_objects.md). */

    static int hocket_signed(const unsigned char *table, size_t size, size_t *at) {
        unsigned int value = 0, shift = 0, byte = 64;
        while (byte & 64 && *at < size && shift < 32) {
            byte = table[(*at)++];
            value |= (byte & 63) << shift;
            shift += 6;
        }
        return value & 1 ? -(int)(value >> 1) : (int)(value >> 1);
    }
    static int hocket_line(const unsigned char *table, size_t size, int first, int unit) {
        size_t at = 0;
        int line = first, begin = 0, known = first;
        while (at < size) {
            unsigned char head = table[at++];
            int kind = head >> 3 & 15;
            if (kind == 13 || kind == 14)
                line += hocket_signed(table, size, &at);
            else if (kind >= 10 && kind <= 12)
                line += kind - 10;
            while (at < size && !(table[at] & 128))
                at++;
            if (kind != 15)
                known = line;
            begin += (head & 7) + 1;
            if (unit < begin)
                break;
        }
        return known;
    }
    static int hocket_line_of(const PyCodeObject *code, int unit) {
        static __thread unsigned char table[1 << 16];
        PyBytesObject head;
        size_t size;
        if (!hocket_peek(&head, code->co_linetable, offsetof(PyBytesObject, ob_sval)))
            return code->co_firstlineno;
        size = (size_t)Py_SIZE((PyObject *)&head);
        if (size > sizeof(table))
            size = sizeof(table);
        if (!hocket_peek(table, (char *)code->co_linetable + offsetof(PyBytesObject, ob_sval), size))
            return code->co_firstlineno;
        return hocket_line(table, size, code->co_firstlineno, unit);
    }

    /* -- Text: in UTF-8; of what is too long, the end. */

    static void hocket_read_text(const void *text, char *into, int size) {
        union { PyASCIIObject ascii; PyCompactUnicodeObject compact; } head;
        unsigned char part[4 * 256];
        const char *data;
        Py_ssize_t length, first, index;
        int kind, used = 0, room = size - 1;
        into[0] = 0;
        if (text == NULL || !hocket_peek(&head, text, sizeof(head.ascii)))
            return;
        if (Py_TYPE((PyObject *)&head) != &PyUnicode_Type || !head.ascii.state.compact)
            return;
        kind = head.ascii.state.kind;
        if (kind != 1 && kind != 2 && kind != 4)
            return;
        length = head.ascii.length;
        data = (const char *)text + (head.ascii.state.ascii ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject));
        first = length > size - 1 ? length - (size - 1) : 0;
        if (length - first > 256)
            first = length - 256;
        if (!hocket_peek(part, data + first * kind, (size_t)((length - first) * kind)))
            return;
        length -= first;
        for (index = length; index > 0 && room >= 0; index--) {
            unsigned int letter = 0;
            memcpy(&letter, part + (index - 1) * kind, kind);
            room -= letter < 0x80 ? 1 : letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;
        }
        if (room < 0)
            index++;
        for (; index < length; index++) {
            unsigned int letter = 0;
            int bytes;
            memcpy(&letter, part + index * kind, kind);
            bytes = letter < 0x80 ? 1 : letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;
            if (used + bytes > size - 1)
                break;
            if (letter >= 0xd800 && letter < 0xe000)
                letter = '?', bytes = 1;
            if (bytes == 1)
                into[used++] = (char)letter;
            else {
                int shift = 6 * (bytes - 1);
                into[used++] = (char)((0xf00 >> bytes) | letter >> shift);
                while (shift > 0) {
                    shift -= 6;
                    into[used++] = (char)(0x80 | (letter >> shift & 63));
                }
            }
        }
        into[used] = 0;
    }

    static int hocket_read_spots(
        PyThreadState *state, int depth, int *lines, char **files, int file_size, char **functions, int function_size
    ) {
        _PyInterpreterFrame frame, *at = state == NULL ? NULL : hocket_top(state);
        PyCodeObject code;
        int count = 0, unit = 0, seen;
        /* What is being changed may point in a circle. */
        for (seen = 0; at != NULL && count < depth && seen < 1000; seen++) {
            int kind = hocket_read_frame(at, &frame, &code, &unit);
            if (kind < 0)
                break;
            if (kind > 0) {
                lines[count] = hocket_line_of(&code, unit);
                hocket_read_text(code.co_filename, files[count], file_size);
                hocket_read_text(code.co_qualname, functions[count], function_size);
                count++;
            }
            at = frame.previous;
        }
        return count;
    }
    """
    ctypedef struct PyThreadState:
        unsigned long native_thread_id
    void hocket_find_gil()
    bint hocket_peek(void *into, const void *at, size_t size) nogil
    void *hocket_lock_holder() nogil
    unsigned long long hocket_switch_interval() nogil
    PyThreadState *hocket_state_of(unsigned long thread)
    unsigned long hocket_thread_of(PyThreadState *state) nogil
    bint hocket_cpu_clock(PyThreadState *state, int *clock)
    unsigned long long hocket_read_clock(int clock) nogil
    size_t hocket_position(PyThreadState *state) nogil
    void hocket_read_text(const void *text, char *into, int size) nogil
    int hocket_read_spots(
        PyThreadState *state, int depth, int *lines, char **files, int file_size, char **functions, int function_size
    ) nogil

hocket_find_gil()


cdef void *state_of(unsigned long thread) noexcept:
    return hocket_state_of(thread)


cdef void *lock_holder() noexcept nogil:
    return hocket_lock_holder()


cdef unsigned long long switch_interval() noexcept nogil:
    """In nanoseconds."""
    return hocket_switch_interval() * 1000


cdef unsigned long thread_of(void *state) noexcept nogil:
    return hocket_thread_of(<PyThreadState *>state)


cdef size_t position(void *state) noexcept nogil:
    return hocket_position(<PyThreadState *>state)


cdef bint peek(void *into, const void *at, size_t size) noexcept nogil:
    return hocket_peek(into, at, size)


cdef void read_text(const void *text, char *into, int size) noexcept nogil:
    hocket_read_text(text, into, size)


cdef void read_stack(void *state, Stack *stack) noexcept nogil:
    cdef int lines[DEPTH]
    cdef char *files[DEPTH]
    cdef char *functions[DEPTH]
    cdef int index
    for index in range(DEPTH):
        files[index] = stack.spots[index].file
        functions[index] = stack.spots[index].function
    stack.depth = hocket_read_spots(<PyThreadState *>state, DEPTH, lines, files, 256, functions, 128)
    for index in range(stack.depth):
        stack.spots[index].line = lines[index]


# -- What the kernel says of a thread

cdef int _open(const char *name, unsigned long native) noexcept:
    cdef char path[64]
    snprintf(path, sizeof(path), "/proc/self/task/%lu/%s", native, name)
    return c_open(path, O_RDONLY | O_CLOEXEC)


cdef void open_meter(Meter *meter, void *state) noexcept:
    cdef unsigned long native = (<PyThreadState *>state).native_thread_id
    meter.has_clock = hocket_cpu_clock(<PyThreadState *>state, &meter.clock)
    meter.stat = _open("stat", native)
    meter.schedstat = _open("schedstat", native)


cdef void close_meter(Meter *meter) noexcept:
    if meter.stat >= 0:
        c_close(meter.stat)
    if meter.schedstat >= 0:
        c_close(meter.schedstat)
    meter.stat = meter.schedstat = -1


cdef void read_meter(Meter *meter, Usage *usage) noexcept nogil:
    cdef char text[512]
    cdef char *end
    cdef ssize_t size
    cdef unsigned long long first
    memset(usage, 0, sizeof(Usage))
    usage.state = b"?"
    if meter.has_clock:
        usage.cpu = hocket_read_clock(meter.clock)
    if meter.schedstat >= 0:
        size = pread(meter.schedstat, text, sizeof(text) - 1, 0)
        if size > 0:
            text[size] = 0
            sscanf(text, "%llu %llu %llu", &first, &usage.delay, &usage.slices)
    if meter.stat >= 0:
        size = pread(meter.stat, text, sizeof(text) - 1, 0)
        if size > 0:
            text[size] = 0
            end = strrchr(text, c")")
            if end != NULL and strlen(end) > 2:
                usage.state = end[2]


# -- The same for Python callers

def stack_of_thread(unsigned long thread):
    cdef Stack stack
    read_stack(state_of(thread), &stack)
    return [
        (
            stack.spots[index].file.decode("utf-8", "replace"),
            stack.spots[index].line,
            stack.spots[index].function.decode("utf-8", "replace"),
        )
        for index in range(stack.depth)
    ]


def position_of_thread(unsigned long thread):
    return position(state_of(thread))


def thread_with_lock():
    return thread_of(lock_holder())


def thread_names():
    # A number is given anew when its thread has ended; the kernel's goes up.
    ended = sorted(_dangling(), key=_native_id)
    return {thread.ident: thread.name for thread in [*ended, *threading.enumerate()] if thread.ident is not None}


def _dangling():
    while True:
        try:
            return list(getattr(threading, "_dangling", ()))
        except RuntimeError:
            continue


def _native_id(thread):
    return thread.native_id or 0


cdef class ThreadMeter:
    cdef Meter _meter

    def __cinit__(self):
        self._meter.stat = self._meter.schedstat = -1

    def __init__(self, unsigned long thread):
        cdef void *state = state_of(thread)
        if state == NULL:
            raise LookupError(f"there is no thread {thread}")
        self.close()
        open_meter(&self._meter, state)

    def read(self):
        cdef Usage usage
        read_meter(&self._meter, &usage)
        return usage.cpu, usage.delay, usage.slices, chr(usage.state)

    def close(self):
        close_meter(&self._meter)

    def __dealloc__(self):
        close_meter(&self._meter)
