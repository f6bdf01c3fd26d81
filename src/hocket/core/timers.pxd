cimport cython

from hocket.core.handles cimport TimerHandle


@cython.final
cdef class TimerHeap:
    cdef list _heap
    cdef unsigned long long _set_so_far
    cdef object __weakref__

    cpdef TimerHandle first(self)
    cpdef push(self, TimerHandle timer)
    cpdef TimerHandle pop(self)
    @cython.locals(last=TimerHandle, index=Py_ssize_t)
    cpdef remove(self, TimerHandle timer)
    @cython.locals(timer=TimerHandle)
    cpdef clear(self)
    @cython.locals(heap=list, above=Py_ssize_t, parent=TimerHandle)
    cdef _rise(self, TimerHandle timer, Py_ssize_t index)
    @cython.locals(heap=list, size=Py_ssize_t, below=Py_ssize_t, child=TimerHandle)
    cdef _sink(self, TimerHandle timer, Py_ssize_t index)


cdef bint _before(TimerHandle one, TimerHandle other) noexcept
