cimport cython


@cython.final
cdef class ReadBuffer:
    cdef char *_memory
    cdef Py_ssize_t _size

    cpdef read(self, int fd)


cpdef Py_ssize_t read_into(int fd, object buffer) except -2
cpdef Py_ssize_t write(int fd, object data) except -2
cpdef Py_ssize_t write_many(int fd, list pieces) except -2
