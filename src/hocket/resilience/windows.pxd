cimport cython

cdef long long _SLOTS


@cython.final
cdef class Slot:
    cdef long long calls
    cdef long long marked
    cdef long long slow


@cython.final
cdef class Window:
    cdef double _length
    cdef list _slots
    cdef long long _number
    cdef readonly long long calls
    cdef readonly long long marked
    cdef readonly long long slow

    @cython.locals(slot=Slot)
    cpdef add(self, double now, long long calls, long long marked, long long slow)
    @cython.locals(number=cython.longlong, slot=Slot)
    cpdef move(self, double now)
    @cython.locals(slot=Slot)
    cpdef clear(self)
