from hocket.core.driver cimport Driver
from hocket.core.future cimport Future
from hocket.core.ready cimport Runnable


cdef class Readiness(Runnable):
    cdef readonly Future future
    cdef Driver _driver
    cdef int _fd
    cdef bint _writing
    cdef object _attempt

    cdef run(self)
    cpdef fail(self, error)
    cpdef stop(self)
