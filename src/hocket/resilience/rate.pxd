cimport cython

from hocket.core.wait cimport Line, Wait
from hocket.primitives.bound cimport running
from hocket.resilience.policy cimport Guard, now_here

cdef double _CLOSE


cdef class RateLimiter(Guard):
    cdef readonly double rate
    cdef readonly double per
    cdef readonly double burst
    cdef readonly double longest_wait
    cdef readonly Py_ssize_t waiting
    cdef double _interval
    cdef double _ahead
    cdef double _level
    cdef readonly Line _line
    cdef double _owed
    cdef object _timer
    cdef long long _admitted_calls
    cdef long long _delayed
    cdef long long _refused

    cdef object _admit(self, double now)
    cdef double _start(self, double amount) noexcept
    @cython.locals(level=double)
    cdef double _delay(self, double now, double amount) noexcept
    @cython.locals(level=double)
    cdef void _take(self, double now, double amount) noexcept
    cdef object _refuse(self, double now, double delay)
    @cython.locals(now=double, amount=double, delay=double)
    cdef object _queue(self, Wait wait)
    @cython.locals(first=Wait, amount=double, level=double, due=double)
    cdef object _set_timer(self, double now)
    @cython.locals(wait=Wait, behind=Wait, now=double, amount=double, level=double)
    cpdef _serve(self)
    @cython.locals(amount=double)
    cdef object _left(self, Wait wait)


cdef class LeakyBucket(RateLimiter):
    cdef double _start(self, double amount) noexcept


cdef class AcquireRate(Wait):
    @cython.locals(limiter=RateLimiter)
    cdef object _begin(self)
    @cython.locals(limiter=RateLimiter)
    cdef object _resume(self)
    @cython.locals(limiter=RateLimiter)
    cdef object _interrupt(self, error)


@cython.locals(operation=AcquireRate)
cdef AcquireRate _acquiring(RateLimiter limiter, double amount)
