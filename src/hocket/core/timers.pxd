cimport cython

from hocket.core.handles cimport TimerHandle, TimerStore
from hocket.native.freelist cimport track


cdef class TimerHeap(TimerStore):
    cdef list _heap
    cdef unsigned long long _set_so_far
    cdef unsigned long long _tracked_at
    cdef object __weakref__

    cdef bint pending(self) noexcept
    cpdef TimerHandle first(self)
    cpdef push(self, TimerHandle timer)
    cpdef TimerHandle pop(self)
    @cython.locals(last=TimerHandle, index=Py_ssize_t)
    cpdef remove(self, TimerHandle timer)
    @cython.locals(timer=TimerHandle)
    cpdef clear(self)
    cdef track_all(self)
    @cython.locals(heap=list, above=Py_ssize_t, parent=TimerHandle)
    cdef _rise(self, TimerHandle timer, Py_ssize_t index)
    @cython.locals(heap=list, size=Py_ssize_t, below=Py_ssize_t, child=TimerHandle)
    cdef _sink(self, TimerHandle timer, Py_ssize_t index)


cdef bint _before(TimerHandle one, TimerHandle other) noexcept
