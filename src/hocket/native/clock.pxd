cdef extern from "time.h" nogil:
    enum:
        CLOCK_MONOTONIC
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)


cpdef double monotonic() noexcept nogil
