cimport cython

from hocket.core.driver cimport Driver
from hocket.core.ready cimport Runnable
from hocket.core.scheduler cimport Scheduler
from hocket.native.files cimport write_file, write_file_pieces
from hocket.native.sockets cimport ReadBuffer
from hocket.native.step cimport call, copy_context
from hocket.net.flow cimport FlowControl


cdef class ReadPipeTransport(Runnable):
    cdef public object _source_traceback
    cdef public object _loop
    cdef Scheduler _scheduler
    cdef Driver _driver
    cdef ReadBuffer _read_buffer
    cdef public object _pipe
    cdef public int _fileno
    cdef public dict _extra
    cdef object _context
    cdef public object _protocol
    cdef bint _starting
    cdef public bint _closing
    cdef public bint _paused
    cdef object __weakref__
    cdef dict __dict__

    cdef run(self)
    cpdef _end_of_stream(self)


cdef class WritePipeTransport(FlowControl):
    cdef public object _source_traceback
    cdef Scheduler _scheduler
    cdef Driver _driver
    cdef public object _pipe
    cdef public int _fileno
    cdef public dict _extra
    cdef object _context
    cdef object _write_context
    cdef list _buffer
    cdef bint _writing
    cdef bint _tells_of_reader
    cdef public Py_ssize_t _conn_lost
    cdef public bint _closing
    cdef bint _lost
    cdef object __weakref__
    cdef dict __dict__

    cdef run(self)
    @cython.locals(buffer=list, count=Py_ssize_t)
    cpdef _write_buffered(self)
    @cython.locals(buffer=list, whole=Py_ssize_t, size=Py_ssize_t)
    cdef _take_out(self, Py_ssize_t count)
    cdef _stop_writing(self)
    cdef _start_watching(self)
    cdef _lose_soon(self, error)


cdef class _Starter(Runnable):
    cdef WritePipeTransport _transport

    cdef run(self)


cdef class _Writer(Runnable):
    cdef WritePipeTransport _transport

    @cython.locals(transport=WritePipeTransport)
    cdef run(self)
