cimport cython

cdef extern from *:
    """
    #include <time.h>

    static unsigned long long hocket_clock_ticks(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec;
    }

    #if defined(__x86_64__) && defined(__GNUC__)
    #include <cpuid.h>
    #include <x86intrin.h>

    /* Whether the counter runs at one speed, whatever the processor does: bit 8 of EDX. */
    static int hocket_counter_is_even(void) {
        unsigned int a, b, c, d;
        return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 0x100);
    }
    static int hocket_counts = -1;

    static inline unsigned long long hocket_ticks(void) {
        if (__builtin_expect(hocket_counts <= 0, 0)) {
            if (hocket_counts < 0)
                hocket_counts = hocket_counter_is_even();
            if (!hocket_counts)
                return hocket_clock_ticks();
        }
        return __rdtsc();
    }
    #else
    #define hocket_ticks hocket_clock_ticks
    #endif

    static inline int hocket_bucket(unsigned long long value) {
        int highest;
        if (value < 4)
            return (int)value;
        highest = 63 - __builtin_clzll(value);
        return (highest - 1) * 4 + (int)(value >> (highest - 2) & 3);
    }
    """
    unsigned long long ticks "hocket_ticks"() noexcept nogil
    int hocket_bucket(unsigned long long value) noexcept nogil


@cython.final
cdef class Histogram:
    cdef unsigned long long _counts[256]
    cdef readonly unsigned long long sum
    cdef readonly unsigned long long greatest

    cdef inline void add(self, unsigned long long value) noexcept:
        self._counts[hocket_bucket(value)] += 1
        self.sum += value
        if value > self.greatest:
            self.greatest = value
