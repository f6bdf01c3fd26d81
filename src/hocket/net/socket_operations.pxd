cimport cython

from hocket.core.driver cimport Driver
from hocket.core.future cimport Future
from hocket.core.scheduler cimport Scheduler
from hocket.native.operation cimport Operation
from hocket.native.sockets cimport ReadBuffer, send_piece
from hocket.net.readiness cimport OnceReader, Readiness, once_reader


@cython.locals(operation=Receive)
cpdef object receive(loop, ReadBuffer read_buffer, sock, Py_ssize_t most)
@cython.locals(operation=SendAll)
cpdef object send_all(loop, sock, data)
@cython.locals(scheduler=Scheduler)
cdef object _check(loop, sock)


cdef class Receive(Operation):
    cdef ReadBuffer _read_buffer
    cdef object _sock
    cdef Py_ssize_t _most
    cdef OnceReader _reader

    cdef object _begin(self)
    @cython.locals(scheduler=Scheduler, driver=Driver, reader=OnceReader, future=Future)
    cdef object _attempt(self)
    cdef object _resume(self)
    cdef object _interrupt(self, error)
    @cython.locals(reader=OnceReader)
    cdef object _stop(self)


cdef class SendAll(Operation):
    cdef object _sock
    cdef object _data
    cdef Readiness _wait

    @cython.locals(sent=Py_ssize_t, scheduler=Scheduler, wait=Readiness)
    cdef object _begin(self)
    @cython.locals(sent=Py_ssize_t, scheduler=Scheduler)
    cpdef bint _send_more(self) except -1
    cdef object _resume(self)
    cdef object _interrupt(self, error)
    @cython.locals(wait=Readiness)
    cdef object _stop(self)
