cimport cython

from hocket.core.wait cimport Wait
from hocket.resilience.policy cimport Guard
from hocket.resilience.windows cimport Window


cdef int _CLOSED
cdef int _OPEN
cdef int _HALF_OPEN
cdef int _ISOLATED


@cython.final
cdef class Ticket:
    cdef double began
    cdef long long generation


cdef class CircuitBreaker(Guard):
    cdef readonly double failure_rate
    cdef readonly long long least_calls
    cdef readonly double window
    cdef readonly object slow_after
    cdef readonly double slow_rate
    cdef readonly double open_for
    cdef readonly double longest
    cdef readonly long long probes
    cdef readonly tuple on
    cdef double _slow_limit
    cdef Window _window
    cdef int _state
    cdef long long _generation
    cdef double _until
    cdef double _duration
    cdef long long _probing
    cdef long long _proved
    cdef long long _admitted_calls
    cdef long long _refused
    cdef long long _opened

    @cython.locals(ticket=Ticket)
    cdef object _admit(self, double now)
    @cython.locals(ticket=Ticket, window=Window, slow=bint, calls=cython.longlong)
    cdef object _leave(self, note, double now, error)
    cdef object _judge_probe(self, double now, bint failed)
    cdef object _look(self, double now)
    cdef object _open(self, double now, error)
    cdef object _close(self, double now)
    cdef object _go_to(self, int state)
    cdef object _refuse(self, double now)
