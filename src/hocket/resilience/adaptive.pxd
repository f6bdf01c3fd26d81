cimport cython
from libc.math cimport sqrt

from hocket.core.wait cimport Wait
from hocket.resilience.policy cimport Guard

cdef long long _ENOUGH
cdef long long _LEAST_BATCH
cdef long long _GREATEST_BATCH
cdef long long _TOO_SLOW
cdef long long _MUCH_TOO_SLOW
cdef long long _BATCHES
cdef double _GAIN
cdef double _GROWTH
cdef double _FELL
cdef double _EXACT
cdef long long _PROBE_AFTER
cdef double _SMOOTHING
cdef double _CREEP
cdef double _DECREASE


@cython.final
cdef class Admission:
    cdef double began
    cdef long long epoch


cdef class AdaptiveLimit(Guard):
    cdef readonly long long least
    cdef readonly long long most
    cdef readonly double window
    cdef readonly double tolerance
    cdef readonly tuple overload
    cdef readonly object target_delay
    cdef object _delay
    cdef double _limit
    cdef long long _inside
    cdef double _baseline
    cdef double _throughput
    cdef long long _epoch
    cdef double _began
    cdef long long _count
    cdef double _sum
    cdef double _squares
    cdef long long _drops
    cdef long long _ignored
    cdef long long _peak
    cdef long long _slow_windows
    cdef long long _windows
    cdef bint _probing
    cdef bint _drained
    cdef long long _counted
    cdef long long _to_admit
    cdef long long _batch
    cdef long long _size
    cdef double _before
    cdef double _restore
    cdef double _best
    cdef long long _admitted_calls
    cdef long long _refused
    cdef long long _dropped
    cdef long long _probes

    @cython.locals(admission=Admission)
    cdef object _admit(self, double now)
    @cython.locals(admission=Admission, took=double)
    cdef object _leave(self, note, double now, error)
    cdef object _refuse(self, double now)
    cdef void _begin_window(self, double now) noexcept
    @cython.locals(elapsed=double, seen=cython.longlong, before=cython.longlong)
    cdef object _look(self, double now)
    @cython.locals(took=double, error=double, slow=double, bearable=cython.longlong, saturated=bint)
    cdef object _judge(self, double now, double elapsed)
    @cython.locals(spread=double)
    cdef double _error(self) noexcept
    cdef void _decrease(self) noexcept
    cdef void _set_limit(self, double limit) noexcept
    cdef object _begin_probe(self, double now, double took, double elapsed)
    cdef void _halve(self, double now) noexcept
    cdef void _begin_batches(self, double now) noexcept
    @cython.locals(took=double, baseline=double, limit=double)
    cdef object _end_batch(self, double now)
    cdef object _end_probe(self, double now, double baseline, double limit)
