cimport cython


cdef class TlsSession:
    cdef object _incoming
    cdef object _outgoing
    cdef object _session
    cdef readonly object object

    cpdef feed(self, data)
    cpdef Py_ssize_t fed(self) except -1
    cpdef take(self)
    cpdef Py_ssize_t outgoing(self) except -1
    cpdef bint handshake(self) except -1
    cpdef bint has_pending(self) except -1
    @cython.locals(filled=Py_ssize_t, size=Py_ssize_t, count=Py_ssize_t)
    cpdef tuple decrypt(self, buffer)
    @cython.locals(taken=Py_ssize_t, size=Py_ssize_t)
    cpdef Py_ssize_t encrypt(self, data) except -1
    cpdef bint goodbye(self) except -1
