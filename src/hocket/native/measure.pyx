"""Compiled twin of ``measure.py``: see there."""

from hocket.native.clock cimport monotonic

BUCKETS = 256

cdef double _first_time
cdef unsigned long long _first_ticks = _ticks_and_time(&_first_time)


cdef unsigned long long _ticks_and_time(double* time) noexcept:
    # Of some looks at both clocks the closest: the thread may be stopped between the two.
    cdef unsigned long long before, apart, found = 0, closest = 0
    cdef double now
    cdef int attempt
    for attempt in range(5):
        before = ticks()
        now = monotonic()
        apart = ticks() - before
        if attempt == 0 or apart < closest:
            closest = apart
            found = before + apart // 2
            time[0] = now
    return found


def now_in_ticks():
    return ticks()


def ticks_per_second():
    cdef double now
    cdef unsigned long long passed = _ticks_and_time(&now) - _first_ticks
    return <double>passed / (now - _first_time) if now > _first_time else 1e9


def bucket_of(unsigned long long value):
    return hocket_bucket(value)


def lower_bound(int bucket):
    if bucket < 4:
        return bucket
    return <unsigned long long>(4 + (bucket & 3)) << (bucket // 4 - 1)


cdef class Histogram:

    def counts(self):
        return [self._counts[index] for index in range(256)]

    def python_add(self, unsigned long long value):
        self.add(value)
