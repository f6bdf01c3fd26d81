cimport cython


@cython.final
cdef class ReadBuffer:
    cdef char *_memory
    cdef Py_ssize_t _size

    cpdef read(self, int fd)


cpdef Py_ssize_t receive_into(int fd, object buffer) except -2
cpdef Py_ssize_t send_piece(int fd, object data) except -2
cpdef Py_ssize_t send_pieces(int fd, list pieces) except -2
