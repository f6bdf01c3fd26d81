cdef class ByteSink:
    cdef bint _direct

    cdef bint receive(self, bytes data) except -1
