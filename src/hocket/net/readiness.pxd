cimport cython

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


cdef class OnceReader(Runnable):
    cdef Driver _driver
    cdef int _fd
    cdef readonly Future _future

    @cython.locals(future=Future)
    cdef run(self)
    cpdef bint waits(self) except -1
    cdef over(self, Future future)


cdef OnceReader once_reader(loop, Driver driver, int fd)
