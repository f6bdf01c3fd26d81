"""Compiled twin of ``clock.py``: see there."""

from time import get_clock_info

RESOLUTION = get_clock_info("monotonic").resolution


cpdef double monotonic() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <double>now.tv_sec + 1e-9 * <double>now.tv_nsec
