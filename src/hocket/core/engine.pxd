cimport cython

from hocket.core.future cimport Future
from hocket.core.handles cimport TimerHandle
from hocket.core.ready cimport Ready
from hocket.core.scheduler cimport Scheduler, nanoseconds
from hocket.core.task cimport Task
from hocket.core.wakeups cimport Wakeup
from hocket.native.measure cimport ticks
from hocket.native.ring cimport TIMER, Ring


cdef object _set_result


cdef class Engine(Scheduler):
    cdef public object _task_factory

    @cython.locals(future=Future)
    cpdef Future create_future(self)
    @cython.locals(task=Task)
    cdef Task _new_task(self, coro, name, context, bint eager)
    @cython.locals(timer=Wakeup)
    cdef TimerHandle _call_at(self, double when, callback, tuple args, context, by)


@cython.locals(queue=Ready, ring=Ring)
cdef void record_timer(Engine engine, object woken, double when) noexcept
