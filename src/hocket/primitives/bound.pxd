cimport cython

from hocket.core.engine cimport Engine
from hocket.core.future cimport Future
from hocket.core.scheduler cimport running_here, running_task
from hocket.core.task cimport Task
from hocket.core.wait cimport Line, Wait
from hocket.native.operation cimport Operation
from hocket.native.step cimport is_coroutine


cdef object _CREATE_TASK


cdef class LoopBound:
    cdef public object _loop
    cdef object __weakref__
    cdef dict __dict__

    cdef object _bind(self, loop)
    cdef object _queue_up(self, Line line, Wait wait)


cdef object running()
@cython.locals(future=Future)
cdef object new_future(loop)
@cython.locals(engine=Engine)
cdef Engine timer_engine(loop)
@cython.locals(engine=Engine, settings=dict)
cdef Engine task_engine(loop)
cdef Task new_task(Engine engine, coro)
@cython.locals(engine=Engine)
cdef object current_task(loop)
@cython.locals(ours=Task)
cdef unsigned long long number_here() noexcept
@cython.locals(ours=Future)
cdef bint is_done(future) except -1
@cython.locals(ours=Future)
cdef object fulfil(future, value)
cdef object check_awaited(future)
@cython.locals(ours=Task)
cdef object wait_undisturbed()
cpdef object called(function, tuple args, dict options)
