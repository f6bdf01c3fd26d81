cimport cython

from hocket.core.wait cimport Wait
from hocket.primitives.bound cimport fulfil


cdef enum:
    MORE
    FOUND
    FOUND_TOO_FAR
    TOO_LONG
    ENDED


cdef class StreamReader:
    cdef object _given_limit
    cdef double _most
    cdef public object _loop
    cdef bytes _chunk
    cdef Py_ssize_t _start
    cdef bytearray _rest
    cdef bint _looked_at
    cdef Py_ssize_t _where
    cdef Py_ssize_t _end
    cdef public bint _eof
    cdef public object _waiter
    cdef public object _exception
    cdef public object _transport
    cdef public bint _paused
    cdef public object _source_traceback
    cdef object __weakref__
    cdef dict __dict__

    cdef Py_ssize_t _size(self) except -1
    @cython.locals(rest=bytearray)
    cdef bytearray _joined(self)
    @cython.locals(chunk=bytes, rest=bytearray, start=Py_ssize_t, end=Py_ssize_t, taken=bytes)
    cdef bytes _take(self, Py_ssize_t count)
    cdef _put_back(self, bytes data)
    @cython.locals(chunk=bytes, found=Py_ssize_t)
    cdef Py_ssize_t _find(self, separator, Py_ssize_t offset) except -2
    @cython.locals(rest=bytearray)
    cdef _feed(self, data)
    cdef _pause(self)
    @cython.locals(wait=Wait)
    cdef _wake(self, error)
    cdef _resume_if_room(self)
    cdef object _wait(self, Wait wait, what)
    @cython.locals(size=Py_ssize_t, found=Py_ssize_t, end=Py_ssize_t, first=Py_ssize_t)
    cdef int _search(self, list separators, Py_ssize_t shortest, Py_ssize_t longest, Py_ssize_t offset) except -1


cdef class WaitForData(Wait):
    @cython.locals(reader=StreamReader)
    cdef object _begin(self)
    @cython.locals(reader=StreamReader)
    cdef object _interrupt(self, error)
    @cython.locals(reader=StreamReader)
    cdef object _stop_waiting(self)
    @cython.locals(reader=StreamReader)
    cdef object _start(self, what)
    @cython.locals(reader=StreamReader)
    cdef object _again(self, what)
    cdef bint _attempt(self, StreamReader reader) except -1


cdef class Read(WaitForData):
    @cython.locals(size=Py_ssize_t, wanted=Py_ssize_t)
    cdef bint _attempt(self, StreamReader reader) except -1


cdef class ReadAll(WaitForData):
    @cython.locals(reader=StreamReader)
    cdef object _interrupt(self, error)
    @cython.locals(reader=StreamReader)
    cdef object _give_back(self)
    @cython.locals(size=Py_ssize_t)
    cdef bint _attempt(self, StreamReader reader) except -1


cdef class ReadExactly(WaitForData):
    @cython.locals(size=Py_ssize_t, wanted=Py_ssize_t)
    cdef bint _attempt(self, StreamReader reader) except -1


cdef class ReadUntil(WaitForData):
    cdef Py_ssize_t _shortest
    cdef Py_ssize_t _longest
    cdef Py_ssize_t _offset

    @cython.locals(state=int)
    cdef bint _attempt(self, StreamReader reader) except -1


cdef class ReadLine(WaitForData):
    @cython.locals(state=int)
    cdef bint _attempt(self, StreamReader reader) except -1


@cython.locals(operation=WaitForData)
cdef WaitForData _waiting_for_data(StreamReader reader, what)
@cython.locals(operation=Read)
cdef Read _reading(StreamReader reader, Py_ssize_t wanted)
@cython.locals(operation=ReadAll)
cdef ReadAll _reading_all(StreamReader reader)
@cython.locals(operation=ReadExactly)
cdef ReadExactly _reading_exactly(StreamReader reader, Py_ssize_t wanted)
@cython.locals(operation=ReadUntil)
cdef ReadUntil _reading_until(StreamReader reader, separator)
@cython.locals(operation=ReadLine)
cdef ReadLine _reading_line(StreamReader reader, bint stepping)
