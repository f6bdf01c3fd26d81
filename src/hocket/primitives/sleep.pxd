cimport cython

from hocket.core.engine cimport Engine, record_timer
from hocket.core.handles cimport TimerHandle
from hocket.core.timers cimport TimerHeap
from hocket.core.wait cimport Wait
from hocket.native.freelist cimport track
from hocket.native.operation cimport Pause
from hocket.primitives.bound cimport running, timer_engine


cdef class Sleep(Wait):
    @cython.locals(engine=Engine, timer=SleepTimer)
    cdef object _begin(self)


cdef class SleepTimer(TimerHandle):
    cdef readonly Wait _sleep

    @cython.locals(when=double)
    cdef object _set(self, Engine engine, Wait sleep)
    @cython.locals(sleep=Wait)
    cdef run(self)


@cython.locals(timer=SleepTimer, operation=Sleep)
cdef Sleep _sleeping(double delay, result)
cpdef object _wake(Wait sleep)
