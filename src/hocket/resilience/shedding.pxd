cimport cython

from hocket.core.wait cimport Wait
from hocket.resilience.policy cimport Guard

cdef double _ALPHA
cdef double _BETA
cdef double _INTERVAL


cdef class LoadShedder(Guard):
    cdef readonly double target
    cdef readonly double burst
    cdef object _delay
    cdef object _random
    cdef double _share
    cdef double _last
    cdef double _looked
    cdef double _patience
    cdef long long _admitted_calls
    cdef long long _refused

    @cython.locals(elapsed=double)
    cdef object _admit(self, double now)
    cdef object _admitted(self, Wait wait, double now)
    @cython.locals(first=bint, delay=double, before=double, change=double, scale=double, limit=double, share=double)
    cdef object _look(self, double now, double elapsed)
    @cython.locals(share=double)
    cdef object _perhaps_refuse(self, double now)
