cimport cython

from hocket.core.cancellation cimport Interruptible, Scope, felt
from hocket.core.handles cimport TimerHandle
from hocket.core.scheduler cimport Scheduler, running_here, running_task


cdef double _FOREVER
cdef dict _modules


cdef class CancelScope(Scope):
    cdef bint _caught
    cdef bint _fails
    cdef bint _left
    cdef double _seconds
    cdef object _timer
    cdef Py_ssize_t _cancelling

    cpdef _expire(self)
    @cython.locals(host=Interruptible, task=Interruptible)
    cdef _tell_everybody(self)
    cdef _enter(self, Interruptible task)
    @cython.locals(scheduler=Scheduler)
    cdef _look_at_the_clock(self, Interruptible task)
    @cython.locals(parent=Scope)
    cdef bint _exit(self, Interruptible host, error) except -1
    cdef str _too_late(self)
    @cython.locals(host=Interruptible)
    cdef bint _end_block(self, error) except -1
    cdef _abandon(self)
    cdef bint _catch(self, Interruptible host, error) except -1
    @cython.locals(inner=Scope)
    cdef _take_out(self, Interruptible host)
    @cython.locals(scheduler=Scheduler, timer=ScopeTimer)
    cdef _set_timer(self, Interruptible task)
    @cython.locals(ours=ScopeTimer)
    cdef _unset_timer(self)


cdef class ScopeTimer(TimerHandle):
    cdef CancelScope _scope

    @cython.locals(scope=CancelScope)
    cdef run(self)


@cython.locals(scope=CancelScope)
cdef CancelScope new_scope(double deadline, bint shield)
@cython.locals(outermost=Scope, found=list, pending=list, each=Interruptible)
cdef move(Interruptible task, CancelScope before, CancelScope after)
@cython.locals(found=list, pending=list)
cdef list _inside(CancelScope scope)
@cython.locals(scope=Scope, task=Interruptible)
cdef _add_members(list pending, list found)
cdef _note_scopes(Scope inner, Scope outer, list pending)
cdef double _checked(deadline) except? -1
