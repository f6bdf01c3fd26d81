cimport cython


cdef class TransportTable:
    cdef list _references

    @cython.locals(number=Py_ssize_t)
    cdef object _transport(self, fd)
    cpdef check(self, fd)
