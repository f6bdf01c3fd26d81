cimport cython
from cpython.object cimport PyObject


@cython.final
cdef class ReadBuffer:
    cdef char *_memory
    cdef readonly Py_ssize_t size
    # A bytes object that nobody holds any more, and what it has room for; 0 if there is none.
    cdef object _spare
    cdef Py_ssize_t _capacity
    cdef int _misses
    # What `read` returned last if it was the spare, and what it has room for.
    cdef PyObject *_taken
    cdef Py_ssize_t _room

    cpdef read(self, int fd)
    cdef object _read_in_place(self, int fd)
    cdef bint _spare_fits(self, Py_ssize_t count) noexcept
    cdef object _take_spare(self, Py_ssize_t count)
    cpdef give_back(self, data)
    cpdef receive(self, int fd, Py_ssize_t limit)
    cpdef Py_ssize_t fill(self, int fd) except -2
    cpdef read_file(self, int fd)


cpdef Py_ssize_t receive_into(int fd, object buffer) except -2
cpdef Py_ssize_t send_piece(int fd, object data) except -2
cpdef Py_ssize_t send_pieces(int fd, list pieces) except -2
cpdef object accept(object listener, int fd, bint packed=*)
cpdef object address_from(object packed)
cpdef object close_descriptor(int fd)
cpdef object local_address(object sock, int fd)
cpdef object set_nodelay(int fd)

# For other modules of this package.
cdef Py_ssize_t would_block() except -2
cdef object address_of(const void *memory, unsigned int length)
