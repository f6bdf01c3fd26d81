cimport cython

from hocket.core.engine cimport Engine
from hocket.core.future cimport Future, Watcher, add_to_awaited_by, discard_from_awaited_by, watch
from hocket.core.task cimport Task
from hocket.native.operation cimport Operation
from hocket.native.step cimport is_coroutine
from hocket.primitives.bound cimport current_task, is_done, new_task, task_engine


cdef class _GatheringFuture(Future):
    cdef public list _children
    cdef bint _return_exceptions
    cdef public bint _cancel_requested
    cdef Py_ssize_t _left
    cdef object _waiter

    cdef object _init_gathering(self, loop, list children, bint return_exceptions, waiter)
    cpdef object _child_done(self, child)
    cdef object _settle(self, last)


cdef class _Child(Watcher):
    cdef _GatheringFuture _outer

    @cython.locals(task=Task, outer=_GatheringFuture)
    cdef run(self)
    cpdef object waiting_task(self)


@cython.locals(watcher=_Child)
cdef object _attend(_GatheringFuture outer, child)
cdef object _ensure(argument, loop)
@cython.locals(task=Task)
cdef object _outcome(child)
@cython.locals(outer=_GatheringFuture)
cdef _GatheringFuture _gathered(loop, list children, bint return_exceptions, waiter, list pending, list done)
