cimport cython
from cpython.object cimport PyObject

from hocket.native.sockets cimport ReadBuffer


# Bytes between a session and us: those from start to end are waiting.  The memory is ours to free unless it is lent.
cdef struct Bytes:
    char *memory
    Py_ssize_t size
    Py_ssize_t start
    Py_ssize_t end
    bint lent
    # How many OpenSSL has taken since it gave out data, and whether it has asked for more than there was.
    Py_ssize_t inside
    bint starved


@cython.final
cdef class Records:
    cdef void *_ssl
    cdef void *_incoming_bio
    cdef void *_outgoing_bio
    cdef Bytes _incoming
    cdef Bytes _outgoing
    # What is being encrypted into: a bytes object that nobody else has yet.
    cdef PyObject *_parcel
    # By how much a record is longer than the data in it.
    cdef Py_ssize_t _overhead
    cdef object _session
    cdef readonly object error
    cdef readonly bint at_end

    cpdef feed(self, data, Py_ssize_t size)
    cpdef lend(self, ReadBuffer buffer, Py_ssize_t size)
    cpdef Py_ssize_t fed(self) except -1
    cpdef bytes take(self)
    cpdef Py_ssize_t outgoing(self) except -1
    cpdef bint has_pending(self) except -1
    cpdef Py_ssize_t decrypt(self, buffer) except -1
    cpdef bytes decrypt_all(self, Py_ssize_t most)
    cpdef Py_ssize_t encrypt(self, data) except -2
    cdef Py_ssize_t _fill(self, char *memory, Py_ssize_t size) except -1
    cdef Py_ssize_t _encrypt(self, const char *memory, Py_ssize_t size) except -2
    cdef _new_parcel(self, Py_ssize_t size)
    cdef _drop_parcel(self)
    cdef _failed(self, int result)


cpdef Records attach(session)
