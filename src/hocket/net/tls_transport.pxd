cimport cython

from hocket.net.tls_session cimport TlsSession

cdef int _OPENING, _HANDSHAKE, _WRAPPED, _FLUSHING, _SHUTDOWN, _CLOSED
cdef Py_ssize_t _DISCARD_AT_MOST
cdef int _NOT_MADE, _MADE, _AT_EOF, _LOST


cdef class TlsTransport:
    cdef public bint _closed
    cdef public object _raw
    cdef double _handshake_timeout
    cdef double _shutdown_timeout
    cdef object _loop
    cdef object _waiter
    cdef object _timer
    cdef double _handshake_began
    cdef TlsSession _session
    cdef dict _extra
    cdef int _state
    cdef int _app_state
    cdef object _view
    cdef bint _eof
    cdef Py_ssize_t _discarded
    cdef Py_ssize_t _writes_after_close
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
    cdef bint _buffered_protocol
    cdef object _protocol
    cdef object __weakref__
    cdef dict __dict__

    cdef _proceed(self)
    cdef _do_handshake(self)
    cdef _handshake_done(self)
    cdef _handshake_failed(self, error)
    cdef _wake_waiter(self, error)
    cdef _control_reading(self)
    cdef _read(self)
    @cython.locals(filled=Py_ssize_t, at_end=bint)
    cdef _read_bytes(self)
    @cython.locals(filled=Py_ssize_t, at_end=bint)
    cdef _read_into_protocol(self)
    cdef _closed_by_peer(self)
    cdef _tell_end(self)
    cdef _write_all(self, pieces)
    @cython.locals(size=Py_ssize_t, taken=Py_ssize_t)
    cdef _encrypt(self, data)
    cpdef _append(self, data)
    @cython.locals(taken=Py_ssize_t)
    cdef _write(self)
    cdef _send(self)
    @cython.locals(size=Py_ssize_t)
    cdef _control_writing(self)
    cdef _tell_protocol(self, what)
    cdef _start_shutdown(self)
    cdef _flush(self)
    @cython.locals(done=bint)
    cdef _do_shutdown(self)
    @cython.locals(filled=Py_ssize_t, at_end=bint)
    cdef bint _discard(self) except -1
    cdef _shutdown_done(self, error)
    cdef _stop_timer(self)
    cdef _fatal_error(self, error, message=*)
    cdef _send_alert(self)
    cdef _force_raw_closed(self, error)
