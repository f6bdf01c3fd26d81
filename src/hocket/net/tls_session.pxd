cimport cython

from hocket.native.openssl cimport Records
from hocket.native.sockets cimport ReadBuffer


cdef class TlsSession:
    cdef object _incoming
    cdef object _outgoing
    cdef object _session
    cdef Records _records
    cdef readonly object error
    cdef readonly bint at_end
    cdef readonly object object

    cpdef feed(self, data, Py_ssize_t size)
    cpdef lend(self, ReadBuffer buffer, Py_ssize_t size)
    cpdef Py_ssize_t fed(self) except -1
    cpdef take(self)
    cpdef Py_ssize_t outgoing(self) except -1
    cpdef bint handshake(self) except -1
    cpdef bint has_pending(self) except -1
    @cython.locals(filled=Py_ssize_t, records=Records)
    cpdef Py_ssize_t decrypt(self, buffer) except -1
    @cython.locals(size=Py_ssize_t, filled=Py_ssize_t, records=Records)
    cpdef bytes decrypt_all(self, Py_ssize_t most)
    @cython.locals(filled=Py_ssize_t, size=Py_ssize_t, count=Py_ssize_t)
    cdef Py_ssize_t _decrypt(self, buffer) except -1
    @cython.locals(taken=Py_ssize_t, size=Py_ssize_t, records=Records)
    cpdef Py_ssize_t encrypt(self, data) except -1
    cpdef bint goodbye(self) except -1
