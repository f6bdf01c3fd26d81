cimport cython

from hocket.net.layer cimport Layer
from hocket.net.stream cimport StreamTransport
from hocket.net.tls_session cimport TlsSession


cdef class TlsFlow(Layer):
    cdef public object _raw
    cdef StreamTransport _stream
    cdef object _loop
    cdef TlsSession _session
    cdef bint _reading_paused
    cdef bint _raw_reading_paused
    cdef Py_ssize_t _read_high
    cdef Py_ssize_t _read_low
    cdef object _backlog
    cdef Py_ssize_t _backlog_size
    cdef bint _raw_writing_paused
    cdef public bint _protocol_paused
    cdef Py_ssize_t _write_high
    cdef Py_ssize_t _write_low
    cdef object _protocol

    cdef _init_flow(self)
    @cython.locals(size=Py_ssize_t)
    cdef _control_reading(self)
    # For the conformance tests, which fill the backlog of asyncio's by hand.
    cpdef _append(self, data)
    @cython.locals(taken=Py_ssize_t)
    cdef _write(self)
    cdef _send(self)
    @cython.locals(size=Py_ssize_t)
    cdef _control_writing(self)
    cdef _tell_protocol(self, what)
