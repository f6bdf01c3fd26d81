cimport cython

from hocket.core.scheduler cimport Scheduler, running_here, running_task
from hocket.core.cancellation cimport Interruptible, deadline_inside, felt
from hocket.core.scope cimport CancelScope, new_scope
from hocket.native.operation cimport Pause


@cython.locals(ours=Interruptible)
cpdef current_effective_deadline()
cpdef deadline_here()
cdef double _in(seconds) except? -1
cdef double _at(deadline) except? -1
cdef Scheduler _engine()
@cython.locals(scope=CancelScope)
cdef CancelScope _failing(double deadline, bint shield, double seconds)
