from hocket.resilience.policy cimport now_here
from hocket.resilience.windows cimport Window


cdef class RetryBudget:
    cdef readonly double ratio
    cdef readonly double reserve
    cdef readonly double window
    cdef public object name
    cdef Window _window
    cdef readonly long long _calls
    cdef readonly long long _spent
    cdef readonly long long _refused
    cdef object __weakref__
    cdef dict __dict__

    cpdef call(self)
    cpdef bint try_spend(self) except -1
    cdef double _balance(self) noexcept
