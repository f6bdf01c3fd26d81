cimport cython

from hocket.core.driver cimport Driver
from hocket.core.ready cimport Ready
from hocket.native.clock cimport monotonic
from hocket.native.epoll cimport Poller


cdef class EpollDriver(Driver):
    cdef Poller _poller

    cpdef double time(self) except? -1
    @cython.locals(poller=Poller, index=int)
    cpdef poll(self, double timeout, Ready ready)
    cpdef wake(self)
    cpdef close(self)
    cpdef disown(self, long owner)
    cpdef _arm(self, int fd, int before, int after)
