cimport cython

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        int fd
    # Packed on x86-64, but the compiler knows: only the names matter here.
    struct epoll_event:
        unsigned int events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event *event)
    int epoll_wait(int epfd, epoll_event *events, int maxevents, int timeout)
    enum:
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLL_CTL_DEL
        EPOLLIN
        EPOLLOUT
        EPOLLONESHOT


@cython.final
cdef class Poller:
    cdef int _epfd
    cdef int _wakefd
    cdef int _waiting
    cdef epoll_event _events[1024]

    cpdef control(self, int fd, int before, int after)
    cpdef int wait(self, double timeout) except -1
    cpdef wake(self)
    cpdef close(self)
    cpdef int fd(self, int index) noexcept
    cpdef int events(self, int index) noexcept
