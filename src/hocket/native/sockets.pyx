"""Compiled twin of ``sockets.py``: see there.

No call here ever blocks (``MSG_DONTWAIT``, whatever the socket's own mode is), so the interpreter's lock is kept: giving
it away and taking it back costs more than a call.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, errno

from socket import socket

cdef extern from "sys/socket.h" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    Py_ssize_t recv(int fd, void *memory, size_t size, int flags)
    Py_ssize_t send(int fd, const void *memory, size_t size, int flags)
    Py_ssize_t sendmsg(int fd, const msghdr *message, int flags)
    enum:
        AF_INET
        AF_INET6
        AF_UNIX
        MSG_DONTWAIT
        MSG_NOSIGNAL
        SOCK_CLOEXEC
        SOCK_NONBLOCK
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family
    int getsockname(int fd, sockaddr *address, socklen_t *length)
    int accept4(int fd, sockaddr *address, socklen_t *length, int flags)

cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_port
        in_addr sin_addr
    struct in6_addr:
        pass
    struct sockaddr_in6:
        unsigned short sin6_port
        unsigned int sin6_flowinfo
        in6_addr sin6_addr
        unsigned int sin6_scope_id
    unsigned short ntohs(unsigned short number)
    unsigned int ntohl(unsigned int number)

cdef extern from "arpa/inet.h" nogil:
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)

cdef extern from "sys/un.h" nogil:
    struct sockaddr_un:
        char sun_path[108]

cdef extern from "string.h" nogil:
    void *memset(void *memory, int value, size_t size)
    size_t strnlen(const char *text, size_t most)

cdef extern from "unistd.h" nogil:
    int close(int fd)
    Py_ssize_t c_read "read"(int fd, void *memory, size_t size)

cdef extern from "Python.h":
    str PyUnicode_DecodeFSDefaultAndSize(const char *text, Py_ssize_t size)

cdef enum:
    PIECES = 64

MAX_PIECES = PIECES


cdef Py_ssize_t would_block() except -2:
    """After a failed call: -1 if it is to be tried again later, or else the kernel's error as an exception."""
    if errno == EAGAIN:
        return -1
    if errno == EINTR:
        PyErr_CheckSignals()
        return -1
    PyErr_SetFromErrno(OSError)
    return -2


cdef class ReadBuffer:
    def __cinit__(self, Py_ssize_t size):
        self._memory = <char *>PyMem_Malloc(size)
        if self._memory == NULL:
            raise MemoryError()
        self.size = size

    def __dealloc__(self):
        PyMem_Free(self._memory)

    cpdef read(self, int fd):
        return self.receive(fd, self.size)

    cpdef receive(self, int fd, Py_ssize_t limit):
        cdef Py_ssize_t count
        if limit < 0:
            raise ValueError(f"expected how many bytes to read at most, got {limit}")
        count = recv(fd, self._memory, <size_t>min(limit, self.size), MSG_DONTWAIT)
        if count < 0:
            would_block()
            return None
        return PyBytes_FromStringAndSize(self._memory, count)

    cpdef read_file(self, int fd):
        cdef Py_ssize_t count
        # Without MSG_DONTWAIT: whoever shares the open file may have made it blocking again.
        with nogil:
            count = c_read(fd, self._memory, <size_t>self.size)
        if count < 0:
            would_block()
            return None
        return PyBytes_FromStringAndSize(self._memory, count)


cpdef Py_ssize_t receive_into(int fd, object buffer) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t count
    PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
    try:
        if view.len == 0:
            return 0  # Nothing is asked for; the kernel would say that nothing is there yet.
        count = recv(fd, view.buf, <size_t>view.len, MSG_DONTWAIT)
        if count < 0:
            return would_block()
        return count
    finally:
        PyBuffer_Release(&view)


cpdef Py_ssize_t send_piece(int fd, object data) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t count
    if PyBytes_CheckExact(data):
        count = send(fd, PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data), MSG_NOSIGNAL | MSG_DONTWAIT)
        return would_block() if count < 0 else count
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        count = send(fd, view.buf, <size_t>view.len, MSG_NOSIGNAL | MSG_DONTWAIT)
        return would_block() if count < 0 else count
    finally:
        PyBuffer_Release(&view)


cpdef Py_ssize_t send_pieces(int fd, list pieces) except -2:
    cdef Py_buffer views[PIECES]
    cdef iovec vector[PIECES]
    cdef msghdr message
    cdef Py_ssize_t count
    cdef int held = 0
    cdef int index
    cdef int wanted = min(len(pieces), <Py_ssize_t>PIECES)
    memset(&message, 0, sizeof(message))
    try:
        while held < wanted:
            PyObject_GetBuffer(pieces[held], &views[held], PyBUF_SIMPLE)
            vector[held].iov_base = views[held].buf
            vector[held].iov_len = <size_t>views[held].len
            held += 1
        message.msg_iov = vector
        message.msg_iovlen = <size_t>held
        count = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)
        return would_block() if count < 0 else count
    finally:
        for index in range(held):
            PyBuffer_Release(&views[index])


cdef enum:
    # Where a Unix address's path begins.
    PATH = 2


cdef object address_of(const void *memory, unsigned int length):
    """The address as the socket module tells it; NotImplemented if it is neither of IP nor Unix."""
    cdef const sockaddr_storage *storage = <const sockaddr_storage *>memory
    cdef char text[64]
    cdef const sockaddr_in *v4
    cdef const sockaddr_in6 *v6
    cdef const sockaddr_un *local
    cdef Py_ssize_t size
    if length == 0:
        return None
    if storage.ss_family == AF_INET:
        v4 = <const sockaddr_in *>storage
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text))
        return (text.decode("ascii"), ntohs(v4.sin_port))
    if storage.ss_family == AF_INET6:
        v6 = <const sockaddr_in6 *>storage
        inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text))
        return (text.decode("ascii"), ntohs(v6.sin6_port), ntohl(v6.sin6_flowinfo), v6.sin6_scope_id)
    if storage.ss_family == AF_UNIX:
        local = <const sockaddr_un *>storage
        size = <Py_ssize_t>length - PATH
        if size > 0 and local.sun_path[0] == 0:
            return PyBytes_FromStringAndSize(local.sun_path, size)
        return PyUnicode_DecodeFSDefaultAndSize(local.sun_path, <Py_ssize_t>strnlen(local.sun_path, size))
    return NotImplemented


cpdef object accept(object listener, int fd):
    cdef sockaddr_storage storage
    cdef socklen_t length = sizeof(storage)
    cdef int accepted = accept4(fd, <sockaddr *>&storage, &length, SOCK_CLOEXEC | SOCK_NONBLOCK)
    if accepted < 0:
        would_block()
        return None
    try:
        address = address_of(&storage, length)
        if address is NotImplemented:
            connection = socket(fileno=accepted)
            try:
                address = connection.getpeername()
            finally:
                connection.detach()
        return accepted, address
    except BaseException:
        close(accepted)
        raise


cpdef object local_address(object sock, int fd):
    cdef sockaddr_storage storage
    cdef socklen_t length = sizeof(storage)
    if type(sock) is not socket:
        return sock.getsockname()
    if getsockname(fd, <sockaddr *>&storage, &length) < 0:
        PyErr_SetFromErrno(OSError)
    address = address_of(&storage, length)
    return sock.getsockname() if address is NotImplemented else address
