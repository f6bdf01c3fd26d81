"""Compiled twin of ``measure.py``: see there."""

from hocket.native.clock cimport monotonic

BUCKETS = 256

cdef unsigned long long _first_ticks = ticks()
cdef double _first_time = monotonic()


def now_in_ticks():
    return ticks()


def ticks_per_second():
    cdef double elapsed = monotonic() - _first_time
    return <double>(ticks() - _first_ticks) / elapsed if elapsed > 0 else 1e9


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
