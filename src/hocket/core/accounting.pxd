cimport cython

from hocket.core.ready cimport Ready, Runnable
from hocket.native.measure cimport Histogram
from hocket.native.ring cimport TRAFFIC, TURN, Ring


cdef class Accounting:
    cdef Ready _queue
    cdef readonly long _number
    cdef readonly unsigned long long turns
    cdef readonly unsigned long long steps
    cdef readonly unsigned long long callbacks
    cdef public unsigned long long tasks_started
    cdef public unsigned long long tasks_finished
    cdef public unsigned long long tasks_failed
    cdef public unsigned long long tasks_cancelled
    cdef public unsigned long long bytes_received
    cdef public unsigned long long bytes_sent
    cdef public unsigned long long connections_accepted
    cdef public unsigned long long connections_opened
    cdef public unsigned long long connections_closed
    cdef unsigned long long _received_before
    cdef unsigned long long _sent_before
    cdef bint _stepping
    cdef Runnable _callback
    cdef unsigned long long _since
    cdef readonly Histogram step_times
    cdef readonly Histogram ready_delays
    cdef readonly Histogram polls
    cdef readonly Histogram lags
    cdef unsigned long long _longest_step
    cdef object _longest_step_task
    cdef object _longest_step_where

    @cython.locals(queue=Ready)
    cpdef record_into(self, Ring ring)
    @cython.locals(ring=Ring, received=cython.ulonglong, sent=cython.ulonglong)
    cdef _record_traffic(self)
    @cython.locals(queue=Ready, ring=Ring, answered=cython.ulonglong)
    cdef _record_turn(self, unsigned long long asked)
    @cython.locals(
        queue=Ready,
        started=cython.ulonglong,
        ran=cython.ulonglong,
        waited=cython.ulonglong,
        since=cython.ulonglong,
    )
    cdef _account(self, Runnable item)
    @cython.locals(queue=Ready)
    cdef _note_wait(self, unsigned long long before)
