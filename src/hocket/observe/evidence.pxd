cimport cython

# The names without the underscore are Python's.
cdef int _PYTHON
cdef int _CALL
cdef int _COLLECTOR
cdef int _INTERPRETER
cdef int _MACHINE

cpdef int rest_went_to(
    unsigned long long rest, bint slept, unsigned long long slices, bint lock_elsewhere,
    unsigned long long switch_interval
) noexcept nogil
@cython.locals(own=cython.ulonglong, most=cython.ulonglong, cause=int)
cpdef int cause_of(
    unsigned long long computing, unsigned long long waiting, unsigned long long collecting,
    unsigned long long interpreter, unsigned long long machine, int moved, int samples,
    unsigned long long limit
) noexcept nogil
