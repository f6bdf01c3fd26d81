cimport cython

from hocket.core.wait cimport Wait
from hocket.native.operation cimport Operation
from hocket.native.method cimport is_plain
from hocket.net.sink cimport ByteSink
from hocket.net.stream cimport StreamTransport
from hocket.primitives.bound cimport check_awaited, is_done, new_future
from hocket.primitives.stream_reader cimport StreamReader


cdef class StreamReaderProtocol(ByteSink):
    cdef public object _loop
    cdef public bint _paused
    cdef public object _drain_waiters
    cdef public bint _connection_lost
    cdef public object _source_traceback
    cdef public object _stream_reader_wr
    cdef public object _strong_reader
    cdef public bint _reject_connection
    cdef public object _stream_writer
    cdef public object _task
    cdef public object _transport
    cdef public object _client_connected_cb
    cdef public bint _over_ssl
    cdef public object _closed
    cdef object __weakref__
    cdef dict __dict__

    cdef object _start_handler(self, transport, reader)
    cdef object _report(self, transport, error)
    @cython.locals(ours=StreamReader)
    cdef bint receive(self, bytes data) except -1
    @cython.locals(drain=Drain)
    cdef object _wake_drainers(self, error)


cdef class StreamWriter:
    cdef public object _transport
    cdef public object _protocol
    cdef public object _reader
    cdef public object _loop
    cdef object __weakref__
    cdef dict __dict__


cdef class Drain(Wait):
    @cython.locals(writer=StreamWriter)
    cdef object _begin(self)
    @cython.locals(protocol=StreamReaderProtocol)
    cdef object _wait(self)
    @cython.locals(protocol=StreamReaderProtocol)
    cdef object _resume(self)
    @cython.locals(protocol=StreamReaderProtocol)
    cdef object _interrupt(self, error)


cdef class WaitClosed(Operation):
    @cython.locals(protocol=StreamReaderProtocol)
    cdef object _begin(self)


@cython.locals(operation=Drain)
cdef Drain _draining(StreamWriter writer, StreamReaderProtocol protocol)
@cython.locals(ours=StreamReader)
cdef object _exception_of(reader)
cdef object _write_bytes(StreamTransport transport, bytes data)
@cython.locals(ours=StreamTransport)
cdef bint _is_closing(transport) except -1
@cython.locals(operation=WaitClosed)
cdef WaitClosed _waiting_closed(StreamWriter writer)
