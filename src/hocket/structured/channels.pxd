cimport cython

from hocket.core.wait cimport Line, Wait
from hocket.native.deques cimport append, is_deque, popleft, size
from hocket.native.operation cimport given
from hocket.primitives.bound cimport LoopBound, current_task


@cython.final
cdef class Channel(LoopBound):
    cdef readonly double _capacity
    cdef readonly object _items
    cdef readonly Py_ssize_t _promised
    cdef readonly Line _senders
    cdef readonly Line _receivers
    cdef readonly Py_ssize_t _open_senders
    cdef readonly Py_ssize_t _open_receivers
    cdef object _failure_of_senders
    cdef object _failure_of_receivers
    cdef readonly Py_ssize_t _most
    cdef readonly unsigned long long _sent
    cdef readonly unsigned long long _received
    cdef readonly unsigned long long _dropped

    cdef object _init_channel(self, double capacity)
    cdef Py_ssize_t _waiting(self) except -1
    @cython.locals(wait=Wait)
    cdef Wait _first_of(self, Line line)
    cdef object _append(self, item)
    @cython.locals(receiver=Wait, held=Py_ssize_t)
    cdef bint _accept(self, item) except -1
    cdef object _promise(self, Wait receiver)
    cdef object _admit(self, Wait sender)
    @cython.locals(sender=Wait)
    cdef bint _offers(self) except -1
    @cython.locals(sender=Wait, held=Py_ssize_t)
    cdef object _take(self)
    @cython.locals(receiver=Wait)
    cdef object _pass_on(self)
    cdef object _drop(self)
    @cython.locals(wait=Wait, behind=Wait)
    cdef object _wake_closed(self, Line line, end)
    cdef object _sender_gone(self, end, error)
    cdef object _receiver_gone(self, end, error)
    @cython.locals(line=Line)
    cdef object _let_go(self, bint sends)
    cdef object _show(self)


cdef class _End:
    cdef readonly Channel _channel
    cdef bint _closed
    cdef object __weakref__
    cdef dict __dict__

    cdef object _refuse_closed(self)


cdef class SendChannel(_End):
    @cython.locals(channel=Channel)
    cdef object _check(self)


cdef class ReceiveChannel(_End):
    @cython.locals(channel=Channel)
    cdef Channel _check(self, bint iterates)


cdef class Send(Wait):
    @cython.locals(end=SendChannel, channel=Channel)
    cdef object _begin(self)
    @cython.locals(end=SendChannel)
    cdef object _resume(self)
    @cython.locals(end=SendChannel)
    cdef object _interrupt(self, error)


cdef class Receive(Wait):
    @cython.locals(end=ReceiveChannel, channel=Channel)
    cdef object _begin(self)
    @cython.locals(end=ReceiveChannel, channel=Channel)
    cdef object _resume(self)
    @cython.locals(end=ReceiveChannel, channel=Channel)
    cdef object _interrupt(self, error)


@cython.locals(channel=Channel)
cdef tuple _opened(double capacity)
@cython.locals(operation=Send)
cdef Send _sending(SendChannel end, item)
@cython.locals(operation=Receive)
cdef Receive _receiving(ReceiveChannel end, bint iterates)
@cython.locals(end=SendChannel)
cdef SendChannel _new_sender(Channel channel)
@cython.locals(end=ReceiveChannel)
cdef ReceiveChannel _new_receiver(Channel channel)
cpdef object _close_dropped(Channel channel, bint sends)
cdef bint _postponed(Channel channel, error) except -1
