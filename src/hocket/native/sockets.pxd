cimport cython


@cython.final
cdef class ReadBuffer:
    cdef char *_memory
    cdef readonly Py_ssize_t size

    cpdef read(self, int fd)
    cpdef receive(self, int fd, Py_ssize_t limit)
    cpdef read_file(self, int fd)


cpdef Py_ssize_t receive_into(int fd, object buffer) except -2
cpdef Py_ssize_t send_piece(int fd, object data) except -2
cpdef Py_ssize_t send_pieces(int fd, list pieces) except -2
cpdef object accept(object listener, int fd)
cpdef object local_address(object sock, int fd)

# For other modules of this package.
cdef Py_ssize_t would_block() except -2
cdef object address_of(const void *memory, unsigned int length)
