cimport cython

from hocket.core.ready cimport Ready, Runnable
from hocket.native.measure cimport ticks
from hocket.native.ring cimport IO

# The names without the underscore are Python's.
cdef int _READ
cdef int _WRITE
cdef int _ONCE


@cython.final
cdef class Watch:
    cdef int armed
    cdef Runnable reader
    cdef Runnable writer


cdef class Driver:
    cdef list _watches
    cdef readonly long _owner
    cdef readonly bint can_report_once
    cdef readonly Py_ssize_t watched
    cdef object __weakref__

    cpdef double time(self) except? -1
    cpdef poll(self, double timeout, Ready ready)
    cpdef wake(self)
    cpdef close(self)
    cpdef disown(self, long owner)
    cpdef _arm(self, int fd, int before, int after)

    @cython.locals(watch=Watch)
    cpdef Runnable add_reader(self, int fd, Runnable runnable)
    @cython.locals(watch=Watch, once=int)
    cpdef add_reader_once(self, int fd, Runnable runnable)
    @cython.locals(watch=Watch)
    cpdef Runnable reader(self, int fd)
    @cython.locals(watch=Watch)
    cpdef bint reports_once(self, int fd) except -1
    @cython.locals(watch=Watch)
    cpdef Runnable add_writer(self, int fd, Runnable runnable)
    @cython.locals(watch=Watch)
    cpdef Runnable remove_reader(self, int fd)
    @cython.locals(watch=Watch)
    cpdef Runnable remove_writer(self, int fd)
    @cython.locals(watch=Watch, fd=int)
    cpdef list watches(self)
    @cython.locals(watch=Watch)
    cpdef int interest(self, int fd) except -1
    cdef Watch _watched(self, int fd)
    @cython.locals(watch=Watch)
    cdef Watch _watch(self, int fd)
    @cython.locals(before=int)
    cdef _change(self, int fd, Watch watch, int after)
    @cython.locals(watch=Watch)
    cpdef _report(self, int fd, int events, Ready ready)
