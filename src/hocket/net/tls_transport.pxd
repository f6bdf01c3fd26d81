cimport cython

from hocket.native.sockets cimport ReadBuffer
from hocket.net.tls_flow cimport TlsFlow
from hocket.net.tls_session cimport TlsSession

cdef int _OPENING, _HANDSHAKE, _WRAPPED, _FLUSHING, _SHUTDOWN, _CLOSED
cdef Py_ssize_t _DISCARD_AT_MOST
cdef int _NOT_MADE, _MADE, _AT_EOF, _LOST


cdef class TlsTransport(TlsFlow):
    cdef public bint _closed
    cdef double _handshake_timeout
    cdef double _shutdown_timeout
    cdef object _waiter
    cdef object _timer
    cdef double _handshake_began
    cdef dict _extra
    cdef int _state
    cdef int _app_state
    cdef object _view
    cdef bint _eof
    cdef Py_ssize_t _discarded
    cdef Py_ssize_t _writes_after_close
    cdef bint _buffered_protocol
    cdef object __weakref__
    cdef dict __dict__

    cdef _proceed(self)
    cdef _do_handshake(self)
    cdef _handshake_done(self)
    cdef _handshake_failed(self, error)
    cdef _wake_waiter(self, error)
    cdef received(self, ReadBuffer buffer, Py_ssize_t count)
    cdef _read(self)
    @cython.locals(data=bytes, at_end=bint, session=TlsSession)
    cdef _read_bytes(self)
    @cython.locals(filled=Py_ssize_t, at_end=bint)
    cdef _read_into_protocol(self)
    cdef _closed_by_peer(self)
    cdef _tell_end(self)
    cdef _write_to_closed(self)
    @cython.locals(size=Py_ssize_t, taken=Py_ssize_t)
    cdef _encrypt(self, data)
    cdef _start_shutdown(self)
    cdef _flush(self)
    @cython.locals(done=bint)
    cdef _do_shutdown(self)
    @cython.locals(filled=Py_ssize_t, session=TlsSession)
    cdef bint _discard(self) except -1
    cdef _shutdown_done(self, error)
    cdef _stop_timer(self)
    cdef _fatal_error(self, error, message=*)
    cdef _send_alert(self)
    cdef _force_raw_closed(self, error)
