cimport cython


# What the subclasses need is declared here too: objects of one size are what the free list can hold.
cdef class Operation:
    cdef object _result
    cdef readonly object _future
    cdef readonly object _loop
    cdef readonly object _waker
    cdef readonly object _owner
    cdef readonly object _item
    cdef Operation _before
    cdef Operation _behind
    cdef int _stage
    cdef bint _woken
    cdef bint _cancelled
    cdef bint _blocking
    cdef readonly bint _quiet
    cdef readonly unsigned long long _waited
    cdef object __weakref__

    cdef object _begin(self)
    cdef object _resume(self)
    cdef object _interrupt(self, error)
    cdef object advance(self)
    cdef object over(self, awaited)


cdef class Immediate(Operation):
    cdef object advance(self)


@cython.final
cdef class Pause:
    cdef int _stage


cdef object given(value)
