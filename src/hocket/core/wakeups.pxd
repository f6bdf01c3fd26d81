cimport cython

from hocket.core.future cimport Future
from hocket.core.handles cimport Handle, TimerHandle


cdef class Wakeup(TimerHandle):
    cdef readonly Future _future
    cdef object _value

    @cython.locals(future=Future)
    cdef run(self)
