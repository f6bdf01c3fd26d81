"""Compiled twin of ``sockets.py``: see there.

The descriptors never block, so the interpreter's lock is kept: giving it away and taking it back costs more than a call.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.errno cimport EAGAIN, EINTR, errno

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
        MSG_NOSIGNAL

cdef extern from "string.h" nogil:
    void *memset(void *memory, int value, size_t size)

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
        self._size = size

    def __dealloc__(self):
        PyMem_Free(self._memory)

    cpdef read(self, int fd):
        cdef Py_ssize_t count = recv(fd, self._memory, <size_t>self._size, 0)
        if count < 0:
            would_block()
            return None
        return PyBytes_FromStringAndSize(self._memory, count)


cpdef Py_ssize_t receive_into(int fd, object buffer) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t count
    PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
    try:
        count = recv(fd, view.buf, <size_t>view.len, 0)
        if count < 0:
            return would_block()
        return count
    finally:
        PyBuffer_Release(&view)


cpdef Py_ssize_t send_piece(int fd, object data) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t count
    if PyBytes_CheckExact(data):
        count = send(fd, PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data), MSG_NOSIGNAL)
        return would_block() if count < 0 else count
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        count = send(fd, view.buf, <size_t>view.len, MSG_NOSIGNAL)
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
        count = sendmsg(fd, &message, MSG_NOSIGNAL)
        return would_block() if count < 0 else count
    finally:
        for index in range(held):
            PyBuffer_Release(&views[index])
