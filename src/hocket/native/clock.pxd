cdef extern from *:
    """
    #include <time.h>
    static inline double hocket_monotonic(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    }
    """
    double hocket_monotonic() noexcept


cdef inline double monotonic() noexcept:
    return hocket_monotonic()
