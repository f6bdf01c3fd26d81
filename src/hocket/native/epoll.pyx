"""Compiled twin of ``epoll.py``: see there."""

from libc.errno cimport EBADF, EEXIST, EINTR, ENOENT, EPERM, errno
from libc.stdint cimport uint64_t
from libc.math cimport ceil
from posix.unistd cimport close as c_close
from posix.unistd cimport read as c_read
from posix.unistd cimport write as c_write
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno

cdef extern from "sys/eventfd.h" nogil:
    int eventfd(unsigned int initval, int flags)
    enum:
        EFD_NONBLOCK
        EFD_CLOEXEC


cdef inline unsigned int bits(int interest) noexcept:
    return (EPOLLIN if interest & 1 else 0) | (EPOLLOUT if interest & 2 else 0) | (EPOLLONESHOT if interest & 4 else 0)


cdef class Poller:
    def __cinit__(self):
        self._epfd = -1
        self._wakefd = -1

    def __init__(self):
        cdef epoll_event event
        if self._epfd >= 0:
            raise RuntimeError("the poller is open already")
        self._epfd = epoll_create1(EPOLL_CLOEXEC)
        if self._epfd < 0:
            PyErr_SetFromErrno(OSError)
        self._wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        if self._wakefd < 0:
            try:
                PyErr_SetFromErrno(OSError)
            finally:
                self.close()
        event.events = EPOLLIN
        event.data.fd = self._wakefd
        if epoll_ctl(self._epfd, EPOLL_CTL_ADD, self._wakefd, &event) != 0:
            try:
                PyErr_SetFromErrno(OSError)
            finally:
                self.close()

    def __dealloc__(self):
        self.close()

    def fileno(self):
        return self._epfd

    cpdef control(self, int fd, int before, int after):
        cdef epoll_event event
        cdef int status
        if self._epfd < 0:
            raise ValueError("the poller is closed")
        event.events = bits(after)
        event.data.fd = fd
        if not after:
            # A descriptor that was closed has left by itself.
            epoll_ctl(self._epfd, EPOLL_CTL_DEL, fd, &event)
            return
        status = epoll_ctl(self._epfd, EPOLL_CTL_MOD if before else EPOLL_CTL_ADD, fd, &event)
        if status != 0 and errno == ENOENT:
            status = epoll_ctl(self._epfd, EPOLL_CTL_ADD, fd, &event)
        elif status != 0 and errno == EEXIST:
            status = epoll_ctl(self._epfd, EPOLL_CTL_MOD, fd, &event)
        if status != 0:
            PyErr_SetFromErrno(OSError)

    cpdef int wait(self, double timeout) except -1:
        cdef int count, index, milliseconds
        cdef uint64_t drained
        if timeout < 0:
            milliseconds = -1
        elif timeout == 0:
            milliseconds = 0
        else:
            # Rounded up: to return early would spin until the timer is due.
            milliseconds = <int>ceil(min(timeout, 86400.0) * 1000.0)
        if milliseconds == 0:
            # Returns at once: not worth giving the interpreter away and fighting for it again.
            count = epoll_wait(self._epfd, self._events, 1024, 0)
        else:
            # A signal that arrived before the wait does not interrupt it.
            PyErr_CheckSignals()
            # For whoever looks on from another thread: the loop may be ready again before it has the interpreter back.
            self._waiting = 1
            with nogil:
                count = epoll_wait(self._epfd, self._events, 1024, milliseconds)
                self._waiting = 0
        if count < 0:
            if errno != EINTR:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()
            return 0
        for index in range(count):
            if self._events[index].data.fd == self._wakefd:
                c_read(self._wakefd, &drained, sizeof(drained))
        return count

    cpdef int fd(self, int index) noexcept:
        cdef int fd = self._events[index].data.fd
        return -1 if fd == self._wakefd else fd

    cpdef int events(self, int index) noexcept:
        cdef unsigned int happened = self._events[index].events
        return (1 if happened & ~<unsigned int>EPOLLOUT else 0) | (2 if happened & ~<unsigned int>EPOLLIN else 0)

    cpdef wake(self):
        cdef uint64_t one = 1
        if self._wakefd >= 0:
            c_write(self._wakefd, &one, sizeof(one))

    cpdef close(self):
        if self._wakefd >= 0:
            c_close(self._wakefd)
            self._wakefd = -1
        if self._epfd >= 0:
            c_close(self._epfd)
            self._epfd = -1
