cimport cython

from hocket.core.scheduler cimport running_task
from hocket.core.cancellation cimport Interruptible
from hocket.core.scope cimport CancelScope
from hocket.core.wait cimport Wait
from hocket.resilience.policy cimport Guard
from hocket.structured.scopes cimport _failing


cdef class Timeout(Guard):
    cdef readonly double seconds
    cdef long long _calls
    cdef long long _expired

    @cython.locals(scope=CancelScope)
    cdef object _admit(self, double now)
    cdef object _admitted(self, Wait wait, double now)
    @cython.locals(scope=CancelScope)
    cdef object _leave(self, note, double now, error)
