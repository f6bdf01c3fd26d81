cimport cython

from hocket.core.wait cimport Line, Wait
from hocket.primitives.bound cimport LoopBound, wait_undisturbed
from hocket.primitives.locks cimport Lock, shown


cdef class Condition(LoopBound):
    cdef public object _lock
    cdef bint _own
    cdef public Line _waiters

    @cython.locals(wait=Wait)
    cpdef object _notify(self, Py_ssize_t n)


cdef class Notice(Wait):
    @cython.locals(condition=Condition)
    cdef object _begin(self)
    @cython.locals(condition=Condition)
    cdef object _resume(self)
    @cython.locals(condition=Condition)
    cdef object _interrupt(self, error)


cdef class WaitForNotice(Wait):
    @cython.locals(condition=Condition, lock=Lock)
    cdef object _begin(self)
    @cython.locals(condition=Condition, lock=Lock)
    cdef object _resume(self)
    @cython.locals(condition=Condition, lock=Lock)
    cdef object _interrupt(self, error)
    @cython.locals(condition=Condition, lock=Lock)
    cdef object _relock(self)
    @cython.locals(condition=Condition)
    cdef object _end(self)


@cython.locals(operation=WaitForNotice)
cdef WaitForNotice _waiting(Condition condition)
@cython.locals(operation=Notice)
cdef Notice _new_notice(Condition condition)
