cimport cython

from hocket.core.future cimport Future
from hocket.native.operation cimport Operation, given
from hocket.net.sink cimport ByteSink


cdef class StockSink(ByteSink):
    cdef object _protocol

    @cython.locals(received=bytearray, future=Future, limit=double)
    cdef bint receive(self, bytes data) except -1


cdef class StockWaiting:
    cdef object _reader


cdef class WaitForData(Operation):
    cdef object _reader
    cdef object _what


cdef class StockDraining:
    cdef object _protocol


@cython.locals(operation=WaitForData)
cdef WaitForData _waiting(reader, what)
@cython.locals(ours=ByteSink)
cdef ByteSink sink_of(protocol, bint debug)
