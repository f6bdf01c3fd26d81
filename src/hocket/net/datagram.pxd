cimport cython

from hocket.core.driver cimport Driver
from hocket.core.ready cimport Ready, Runnable
from hocket.core.scheduler cimport Scheduler
from hocket.native.datagrams cimport DatagramBuffer, known_family, send_datagram, send_datagram_to
from hocket.native.sockets cimport local_address
from hocket.native.step cimport call, copy_context
from hocket.net.flow cimport FlowControl

cdef bint _SENDS_EMPTY
cdef Py_ssize_t _HEADER


cdef class DatagramTransport(FlowControl):
    cdef public object _source_traceback
    cdef Scheduler _scheduler
    cdef Driver _driver
    cdef DatagramBuffer _receiver
    cdef public object _sock
    cdef public int _sock_fd
    cdef int _family
    cdef public dict _extra
    cdef bint _connected
    cdef public object _address
    cdef object _context
    cdef object _write_context
    cdef list _rest
    cdef bint _rest_due
    cdef unsigned long long _went_on_in
    cdef object _outgoing
    cdef bint _writing
    cdef bint _starting
    cdef public bint _closing
    cdef public bint _paused
    cdef public Py_ssize_t _conn_lost
    cdef object __weakref__
    cdef dict __dict__

    cdef _describe_socket(self)
    @cython.locals(left=Py_ssize_t)
    cdef run(self)
    cdef _start_reading(self)
    @cython.locals(scheduler=Scheduler, queue=Ready, others=Py_ssize_t, count=Py_ssize_t, index=Py_ssize_t)
    cdef bint _deliver(self, list received) except -1
    cdef _go_on_later(self)
    cdef _go_on(self)
    cdef bint _send(self, data, addr) except -1
    cdef _send_on_lost(self)
    cpdef _send_buffered(self)
    cdef _forget_first(self)
    cdef _lose_soon(self, error)


cdef class _Rest(Runnable):
    cdef DatagramTransport _transport
    cdef bint _turn_ended

    @cython.locals(transport=DatagramTransport)
    cdef run(self)


cdef class _Writer(Runnable):
    cdef DatagramTransport _transport

    @cython.locals(transport=DatagramTransport)
    cdef run(self)
