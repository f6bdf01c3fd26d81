cimport cython

from hocket.core.ready cimport Runnable
from hocket.core.scheduler cimport Scheduler
from hocket.native.operation cimport Operation
from hocket.native.step cimport copy_context


cdef class Wait(Operation):
    cdef object _suspend(self, loop)
    cdef bint _is_done(self) except -1
    cdef object _wake(self)
    @cython.locals(scheduler=Scheduler, task=Runnable)
    cdef object _rouse(self)
    cdef object _check_woken(self)
    cdef object outcome_to_raise(self)


@cython.final
cdef class Line:
    cdef Wait _first
    cdef Wait _last
    cdef Py_ssize_t _count
    cdef readonly Py_ssize_t most
    cdef readonly unsigned long long waits
    cdef public unsigned long long waited

    @cython.locals(last=Wait)
    cdef object join(self, Wait wait)
    @cython.locals(before=Operation, behind=Operation)
    cdef object leave(self, Wait wait)
    @cython.locals(first=Wait)
    cdef Wait pop(self)
    @cython.locals(wait=Wait)
    cdef bint wake_next(self) except -1
    @cython.locals(wait=Wait)
    cdef bint is_waiting(self) except -1


cdef class _Stranger(Wait):
    cdef bint _is_done(self) except -1
    cdef object _wake(self)


@cython.locals(stranger=_Stranger)
cdef _Stranger _strange(future)
@cython.locals(wait=Wait)
cdef list _members(Line line)
