cimport cython

from hocket.core.driver cimport Driver
from hocket.core.ready cimport Runnable
from hocket.core.scheduler cimport Scheduler
from hocket.net.flow cimport FlowControl
from hocket.net.readiness cimport Readiness
from hocket.net.table cimport TransportTable
from hocket.native.sockets cimport ReadBuffer, send_piece, send_pieces
from hocket.native.step cimport call, copy_context


cdef class StreamWriting(FlowControl):
    cdef Scheduler _scheduler
    cdef Driver _driver
    cdef Streams _streams
    cdef public int _sock_fd
    cdef object _piece
    cdef list _pieces
    cdef Py_ssize_t _gather_at_most
    cdef bint _receiving
    cdef bint _flush_due
    cdef bint _writing
    cdef public bint _eof
    cdef public bint _closing
    cdef _Writer _writer
    cdef object _write_context
    cdef public object _empty_waiter
    cdef public Py_ssize_t _conn_lost

    cdef _init_writing(self, loop, int fd)
    cdef _shutdown(self)
    cdef _lose(self, error)
    cdef write_bytes(self, bytes data)
    cdef _write_to_lost(self)
    cdef _append(self, data)
    cdef _discard(self)
    cdef _gathered(self)
    @cython.locals(count=Py_ssize_t)
    cdef flush_gathered(self)
    cdef _wait_to_write(self)
    @cython.locals(count=Py_ssize_t, gathered=bint)
    cdef _flush(self)
    @cython.locals(pieces=list, whole=Py_ssize_t, size=Py_ssize_t)
    cdef bint _written(self, Py_ssize_t count) except -1
    cpdef _write_failed(self, error)
    cdef _drain(self)
    cpdef drained(self)
    cdef _flush_now(self)
    cdef _fail_sendfile(self)


cdef class _Writer(Runnable):
    cdef StreamWriting _transport

    @cython.locals(transport=StreamWriting)
    cdef run(self)


cdef class Streams(Runnable):
    cdef ReadBuffer _read_buffer
    cdef TransportTable _transports
    cdef list _waiting

    cdef add(self, StreamWriting transport)
    @cython.locals(waiting=list, begun=Py_ssize_t, transport=StreamWriting)
    cdef run(self)
