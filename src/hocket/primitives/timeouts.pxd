cimport cython

from hocket.core.engine cimport Engine
from hocket.core.handles cimport TimerHandle
from hocket.core.task cimport Task
from hocket.native.operation cimport Operation, given
from hocket.primitives.bound cimport current_task, running, timer_engine


cdef object _CREATED
cdef object _ENTERED
cdef object _EXPIRING
cdef object _EXPIRED
cdef object _EXITED


cdef class Timeout:
    cdef public object _state
    cdef public object _timeout_handler
    cdef public object _task
    cdef public object _when
    cdef public object _cancelling
    cdef object __weakref__
    cdef dict __dict__

    cdef object _init_timeout(self, when)
    @cython.locals(ours=Task)
    cdef object _enter(self)
    @cython.locals(ours=TimeoutTimer)
    cdef object _unschedule(self)
    @cython.locals(engine=Engine, timer=TimeoutTimer)
    cdef object _schedule(self, loop, when)
    cpdef object _on_timeout(self)


cdef class EnterTimeout(Operation):
    @cython.locals(timeout=Timeout)
    cdef object _begin(self)


@cython.locals(operation=EnterTimeout)
cdef EnterTimeout _entering(Timeout timeout)


cdef class TimeoutTimer(TimerHandle):
    cdef readonly Timeout _timeout

    cdef object _take_back(self)
    @cython.locals(timeout=Timeout)
    cdef run(self)


@cython.locals(engine=Engine, made=Timeout)
cpdef Timeout timeout(delay)
