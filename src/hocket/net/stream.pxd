cimport cython

from hocket.core.handles cimport Handle
from hocket.core.ready cimport Runnable
from hocket.net.layer cimport Layer, hand_over
from hocket.net.sink cimport ByteSink
from hocket.net.stock_streams cimport sink_of
from hocket.net.writing cimport StreamWriting
from hocket.native.method cimport call_method, copy_of
from hocket.native.sockets cimport ReadBuffer, address_from, close_descriptor, local_address, receive_into, set_nodelay
from hocket.native.step cimport call, copy_context


cdef class StreamTransport(StreamWriting):
    cdef public object _source_traceback
    cdef object _socket
    cdef tuple _kind
    cdef object _sockname
    cdef object _peername
    cdef dict _told
    cdef object _context
    cdef public object _server
    cdef object _opening
    cdef ByteSink _sink
    cdef Layer _layer
    cdef bint _is_open
    cdef bint _starting
    cdef public bint _paused
    cdef public bint _protocol_connected
    cdef bint _buffered_protocol
    cdef object __weakref__
    cdef dict __dict__

    cdef _init_stream(self, loop, int fd, protocol, server)
    cdef _open(self, protocol)
    cdef _name_socket(self, dict extra)
    cdef _get_socket(self)
    cdef _close_socket(self)
    cdef run(self)
    cdef _read(self)
    cdef _start(self)
    @cython.locals(count=Py_ssize_t, buffer=ReadBuffer)
    cdef _read_into_layer(self, Layer layer)
    @cython.locals(count=Py_ssize_t)
    cdef _read_into_protocol(self)
    cpdef _end_of_stream(self)
    cdef _shutdown(self)
    cdef _lose_soon(self, error)
    cdef _lose(self, error)


cdef class _Ending(Runnable):
    cdef StreamTransport _transport
    cdef object _error
    cdef object _context

    @cython.locals(transport=StreamTransport, handle=Handle)
    cdef run(self)


@cython.locals(transport=StreamTransport)
cpdef StreamTransport accepted_transport(loop, int fd, tuple kind, protocol, peername, server)
