cimport cython

from hocket.native.lists cimport exchange
from hocket.native.measure cimport ticks
from hocket.native.ring cimport CALL, OWN, Ring


cdef class Runnable:
    cdef public bint publishes
    cdef public unsigned long long since

    cdef run(self)
    cdef void account(self, unsigned long long waited, unsigned long long ran, unsigned long long now) noexcept
    cdef void record(
        self, Ring ring, unsigned int loop, unsigned long long since, unsigned long long started, unsigned long long ended
    ) noexcept


@cython.final
cdef class Ready:
    cdef list _slots
    cdef Py_ssize_t _mask
    cdef Py_ssize_t _head
    cdef Py_ssize_t _count
    cdef public unsigned long long now
    cdef readonly Ring ring
    cdef readonly unsigned int loop

    cpdef stamp(self)
    cpdef push(self, Runnable item)
    @cython.locals(count=Py_ssize_t, behind=Py_ssize_t, index=Py_ssize_t)
    cpdef pour(self, list items)
    cpdef Runnable pop(self)
    cpdef clear(self)
    cpdef list snapshot(self)
    @cython.locals(i=Py_ssize_t)
    cdef _grow(self)
