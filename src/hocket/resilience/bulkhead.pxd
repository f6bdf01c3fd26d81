cimport cython

from hocket.core.wait cimport Line, Wait
from hocket.resilience.policy cimport Guard, now_here


cdef class Bulkhead(Guard):
    cdef readonly Py_ssize_t limit
    cdef readonly Py_ssize_t waiting
    cdef readonly Line _line
    cdef Py_ssize_t _taken
    cdef Py_ssize_t _most
    cdef long long _admitted_calls
    cdef long long _refused

    cdef object _admit(self, double now)
    cdef object _leave(self, note, double now, error)
    cdef void _take(self) noexcept
    @cython.locals(wait=Wait)
    cdef object _release(self)
    @cython.locals(wait=Wait, count=Py_ssize_t)
    cdef Py_ssize_t _how_many_wait(self) except -1
    cdef object _queue(self, Wait wait)
    cdef object _left(self, Wait wait)


cdef class EnterBulkhead(Wait):
    @cython.locals(bulkhead=Bulkhead)
    cdef object _begin(self)
    @cython.locals(bulkhead=Bulkhead)
    cdef object _resume(self)
    @cython.locals(bulkhead=Bulkhead)
    cdef object _interrupt(self, error)


@cython.locals(operation=EnterBulkhead)
cdef EnterBulkhead _entering(Bulkhead bulkhead)
