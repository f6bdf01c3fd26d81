cimport cython

from hocket.core.driver cimport Driver
from hocket.core.ready cimport Runnable
from hocket.core.scheduler cimport Scheduler
from hocket.net.flow cimport FlowControl
from hocket.net.readiness cimport Readiness
from hocket.native.sockets cimport ReadBuffer, local_address, receive_into, send_piece, send_pieces
from hocket.native.step cimport call, copy_context


cdef class StreamTransport(FlowControl):
    cdef public object _source_traceback
    cdef Scheduler _scheduler
    cdef Driver _driver
    cdef ReadBuffer _read_buffer
    cdef public object _sock
    cdef public int _sock_fd
    cdef public dict _extra
    cdef object _context
    cdef object _write_context
    cdef public object _server
    cdef list _buffer
    cdef Py_ssize_t _gather_at_most
    cdef bint _flush_due
    cdef bint _writing
    cdef _Writer _writer
    cdef public object _empty_waiter
    cdef public bint _eof
    cdef bint _starting
    cdef public bint _closing
    cdef public bint _paused
    cdef public Py_ssize_t _conn_lost
    cdef public bint _protocol_connected
    cdef bint _buffered_protocol
    cdef object __weakref__
    cdef dict __dict__

    cdef _describe_socket(self)
    cdef run(self)
    cdef _start_reading(self)
    @cython.locals(count=Py_ssize_t)
    cpdef _read_into_protocol(self)
    cpdef _end_of_stream(self)
    cdef _write_to_lost(self)
    cdef _append(self, data)
    cdef _gathered(self)
    cdef _write_later(self)
    @cython.locals(buffer=list, count=Py_ssize_t, gathered=bint)
    cdef _flush(self)
    @cython.locals(buffer=list, whole=Py_ssize_t, size=Py_ssize_t)
    cdef bint _written(self, Py_ssize_t count) except -1
    cdef _write_failed(self, error)
    cpdef drained(self)
    cdef _flush_now(self)
    cdef _shutdown(self)
    cdef _fail_sendfile(self)
    cdef _lose_soon(self, error)
    cdef _lose(self, error)


cdef class _Writer(Runnable):
    cdef StreamTransport _transport

    @cython.locals(transport=StreamTransport)
    cdef run(self)
