"""Compiled twin of ``files.py``: see there.

The interpreter's lock is given away for each call: whoever shares the open file (a child process, another program on
the same terminal) may have made it blocking again, and then the reader may be a thread of this process.
"""

from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer

from hocket.native.sockets cimport would_block

cdef extern from "unistd.h" nogil:
    Py_ssize_t c_write "write"(int fd, const void *memory, size_t size)

cdef extern from "sys/uio.h" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    Py_ssize_t c_writev "writev"(int fd, const iovec *vector, int count)

cdef enum:
    PIECES = 64

MAX_PIECES = PIECES


cpdef Py_ssize_t write_file(int fd, object data) except -2:
    cdef Py_buffer view
    cdef Py_ssize_t count
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            count = c_write(fd, view.buf, <size_t>view.len)
        return would_block() if count < 0 else count
    finally:
        PyBuffer_Release(&view)


cpdef Py_ssize_t write_file_pieces(int fd, list pieces) except -2:
    cdef Py_buffer views[PIECES]
    cdef iovec vector[PIECES]
    cdef Py_ssize_t count
    cdef int held = 0
    cdef int index
    cdef int wanted = <int>min(len(pieces), <Py_ssize_t>PIECES)
    try:
        while held < wanted:
            PyObject_GetBuffer(pieces[held], &views[held], PyBUF_SIMPLE)
            vector[held].iov_base = views[held].buf
            vector[held].iov_len = <size_t>views[held].len
            held += 1
        with nogil:
            count = c_writev(fd, vector, held)
        return would_block() if count < 0 else count
    finally:
        for index in range(held):
            PyBuffer_Release(&views[index])
