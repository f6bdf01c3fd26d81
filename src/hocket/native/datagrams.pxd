cimport cython

cdef extern from "sys/socket.h" nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/socket.h>
    """
    struct iovec:
        void *iov_base
        size_t iov_len
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family
    struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len

cdef enum:
    SLOTS = 16


@cython.final
cdef class DatagramBuffer:
    cdef char *_memory
    cdef mmsghdr _messages[SLOTS]
    cdef iovec _vectors[SLOTS]
    cdef sockaddr_storage _addresses[SLOTS]
    cdef int _slots

    cdef void _divide(self, int slots) noexcept
    cpdef list receive(self, object sock, int fd, int family)


cpdef int known_family(object sock) except -1
cpdef bint send_datagram(object sock, int fd, int family, object data) except -1
cpdef bint send_datagram_to(object sock, int fd, int family, object data, object address) except -1
