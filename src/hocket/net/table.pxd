cimport cython


cdef class TransportTable:
    cdef list _references

    @cython.locals(number=Py_ssize_t)
    cdef object _transport(self, fd)
    cpdef put(self, Py_ssize_t fd, transport)
    cpdef check(self, fd)
