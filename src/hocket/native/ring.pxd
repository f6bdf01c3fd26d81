cimport cython
from cpython.object cimport PyObject


cdef extern from *:
    """
    #ifndef Py_BUILD_CORE
    #define Py_BUILD_CORE 1
    #endif
    #include "internal/pycore_frame.h"
    #if PY_VERSION_HEX >= 0x030E0000
    #include "internal/pycore_interpframe.h"
    #include "internal/pycore_interpframe_structs.h"
    #include "internal/pycore_stackref.h"
    #endif

    /* The code in which a suspended coroutine or generator stands, how far it has come, and what it awaits, or NULL.
       Borrowed references.  NULL if it is neither, or not suspended. */
    static inline PyObject *hocket_suspended_in(PyObject *it, int *offset, PyObject **awaited) {
        PyGenObject *generator;
        _PyInterpreterFrame *frame;
        int is_coroutine = PyCoro_CheckExact(it);
        *awaited = NULL;
        if (!is_coroutine && !PyGen_CheckExact(it))
            return NULL;
        generator = (PyGenObject *)it;
    #if PY_VERSION_HEX >= 0x030D0000
        if (!FRAME_STATE_SUSPENDED(generator->gi_frame_state))
            return NULL;
    #else
        if (generator->gi_frame_state != FRAME_SUSPENDED)
            return NULL;
    #endif
    #if PY_VERSION_HEX >= 0x030E0000
        frame = &generator->gi_iframe;
    #else
        frame = (_PyInterpreterFrame *)generator->gi_iframe;
    #endif
        *offset = _PyInterpreterFrame_LASTI(frame) * (int)sizeof(_Py_CODEUNIT);
        /* What a coroutine awaits is on top of its stack; a generator may as well have yielded by itself. */
    #if PY_VERSION_HEX >= 0x030E0000
        if (is_coroutine && frame->stackpointer > frame->localsplus)
            *awaited = PyStackRef_AsPyObjectBorrow(frame->stackpointer[-1]);
        return (PyObject *)_PyFrame_GetCode(frame);
    #else
        if (is_coroutine && frame->stacktop > 0)
            *awaited = frame->localsplus[frame->stacktop - 1];
    #if PY_VERSION_HEX >= 0x030D0000
        return (PyObject *)_PyFrame_GetCode(frame);
    #else
        return (PyObject *)frame->f_code;
    #endif
    #endif
    }

    static inline PyObject *hocket_type_of(PyObject *it) {
        return (PyObject *)Py_TYPE(it);
    }

    /* The object whose method it is, or itself.  Borrowed. */
    static inline PyObject *hocket_owner_of(PyObject *callable) {
        PyObject *owner = NULL;
        if (PyMethod_Check(callable))
            owner = PyMethod_GET_SELF(callable);
        else if (PyCFunction_Check(callable))
            owner = PyCFunction_GET_SELF(callable);
        return owner != NULL ? owner : callable;
    }

    /* The code of a Python function or of a bound method of one; else NULL.  Borrowed. */
    static inline PyObject *hocket_code_of(PyObject *callable) {
        if (PyMethod_Check(callable))
            callable = PyMethod_GET_FUNCTION(callable);
        return PyFunction_Check(callable) ? PyFunction_GET_CODE(callable) : NULL;
    }
    """
    PyObject *hocket_suspended_in(PyObject *it, int *offset, PyObject **awaited) noexcept
    PyObject *hocket_code_of(PyObject *callable) noexcept
    PyObject *hocket_type_of(object it) noexcept
    PyObject *hocket_owner_of(PyObject *callable) noexcept


# As in ring.py.
cdef enum:
    STEP = 1
    CALL = 2
    TURN = 3
    SPAWN = 4
    DONE = 5
    TEXT = 6
    IO = 7
    TIMER = 8
    CANCEL = 9
    BLOCKED = 10
    SPAN_BEGIN = 11
    SPAN_END = 12
    MARK = 13
    COLLECTED = 14
    LEFT = 15
    TRAFFIC = 16
    YIELDED = 0
    ENDED = 1
    WAITS_FOR_FUTURE = 2
    WAITS_FOR_TASK = 3
    WAITS_FOR_OPERATION = 4
    WAITS_FOR_FOREIGN = 5
    HOW_IT_ENDED = 15
    EAGER = 64
    WITHIN = 128
    SOON = 0
    TIMED = 1
    FROM_THREAD = 2
    OWN = 3
    FINISHED = 0
    FAILED = 1
    CANCELLED = 2


cdef struct Record:
    unsigned char kind
    unsigned char detail
    unsigned short loop
    unsigned int place
    unsigned long long time
    unsigned long long end
    unsigned long long a
    unsigned long long b
    unsigned long long c


cdef struct Slot:
    PyObject *it
    int offset
    unsigned int number
    bint library


@cython.final
cdef class Names:
    cdef Slot *_slots
    cdef size_t _mask
    cdef tuple _libraries
    cdef readonly list known
    cdef readonly unsigned long long refused
    cdef public object listener

    cdef Slot *_add(self, PyObject *it, int offset, size_t index) noexcept
    cdef size_t _free_place(self, PyObject *it, int offset) noexcept
    cdef int _grow(self) except -1

    cdef inline size_t _home(self, PyObject *it, int offset) noexcept:
        cdef unsigned long long mixed = (<unsigned long long><size_t>it >> 4) ^ (<unsigned long long>offset << 40)
        return <size_t>((mixed * <unsigned long long>0x9E3779B97F4A7C15) >> 32) & self._mask

    cdef inline Slot *find(self, PyObject *it, int offset) noexcept:
        cdef size_t index = self._home(it, offset)
        while self._slots[index].it != NULL:
            if self._slots[index].it == it and self._slots[index].offset == offset:
                return &self._slots[index]
            index = (index + 1) & self._mask
        return self._add(it, offset, index)


@cython.final
cdef class Ring:
    cdef Record *_records
    cdef unsigned long long _mask
    cdef unsigned long long _limit
    cdef unsigned long long _half
    cdef unsigned long long _spilled
    cdef unsigned long long _lost
    cdef int _fd
    cdef readonly unsigned long long written
    cdef readonly int spill_error
    cdef readonly Names places
    cdef readonly Names types

    cdef void _make_room(self) noexcept
    cdef bint _write_out(self, unsigned long long count) noexcept
    cdef bint _write_all(self, const char *data, unsigned long long size) noexcept
    cdef bytes _contents(self)
    cdef void say(self, text) noexcept
    cdef unsigned int standing(self, object coroutine) noexcept

    cdef inline void note(
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
    ) noexcept:
        cdef Record *record
        if self.written == self._limit:
            self._make_room()
        record = &self._records[self.written & self._mask]
        self.written += 1
        record.kind = <unsigned char>kind
        record.detail = <unsigned char>detail
        record.loop = <unsigned short>loop
        record.place = place
        record.time = time
        record.end = end
        record.a = a
        record.b = b
        record.c = c

    cdef inline unsigned int place(self, object code, int offset) noexcept:
        return self.places.find(<PyObject *>code, offset).number if code is not None else 0

    # Who it is that is waited for, or runs: where it is in memory, and of what type.
    cdef inline unsigned long long identity_as(self, object it, object typed) noexcept:
        return (
            <unsigned long long><size_t><PyObject *>it & <unsigned long long>0xFFFFFFFFFFFF
            | <unsigned long long>self.types.find(hocket_type_of(typed), 0).number << 48
        )

    cdef inline unsigned long long identity(self, object it) noexcept:
        return self.identity_as(it, it)

    cdef inline unsigned long long owner(self, object callable) noexcept:
        return self.identity(<object>hocket_owner_of(<PyObject *>callable))

    cdef inline unsigned int function(self, object callable) noexcept:
        cdef PyObject *code = hocket_code_of(<PyObject *>callable)
        return self.places.find(code, 0).number if code != NULL else 0
