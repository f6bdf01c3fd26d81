cimport cython

from hocket.core.wait cimport Line, Wait
from hocket.native.operation cimport given
from hocket.primitives.bound cimport LoopBound, current_task, running


cdef class CapacityLimiter(LoopBound):
    cdef readonly double _total
    cdef readonly dict _borrowers
    cdef readonly Line _waiters
    cdef readonly Py_ssize_t _most

    cdef object _own(self)
    cdef object _refuse_second(self, borrower)
    cdef bint _is_free(self) except -1
    cdef object _borrow_now(self, borrower)
    cdef object _borrow(self, borrower)
    cdef object _return(self, borrower)
    @cython.locals(wait=Wait)
    cdef object _share_out(self)


cdef class AcquireToken(Wait):
    @cython.locals(limiter=CapacityLimiter)
    cdef object _begin(self)
    @cython.locals(limiter=CapacityLimiter)
    cdef object _resume(self)
    @cython.locals(limiter=CapacityLimiter)
    cdef object _interrupt(self, error)


@cython.locals(operation=AcquireToken)
cdef AcquireToken _acquiring(CapacityLimiter limiter, borrower, bint own)
cdef double _checked(total_tokens) except? -1
