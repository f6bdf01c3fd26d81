cimport cython

from hocket.core.engine cimport Engine
from hocket.core.future cimport Future, Watcher, add_to_awaited_by, discard_from_awaited_by, watch
from hocket.core.cancellation cimport visible
from hocket.core.scope cimport CancelScope, new_scope
from hocket.core.task cimport Task
from hocket.native.operation cimport Operation, given
from hocket.primitives.bound cimport (
    check_awaited,
    current_task,
    is_done,
    new_future,
    new_task,
    running,
    task_engine,
    wait_undisturbed,
)


cdef class Group:
    cdef public bint _entered
    cdef public bint _exiting
    cdef public bint _aborting
    cdef public object _loop
    cdef public object _parent_task
    cdef public bint _parent_cancel_requested
    cdef public set _tasks
    cdef public object _errors
    cdef public object _base_error
    cdef public object _on_completed_fut
    cdef readonly CancelScope _scope
    cdef readonly Py_ssize_t _starting
    cdef object __weakref__
    cdef dict __dict__

    cdef object _init_group(self)
    cdef object _enter(self)
    @cython.locals(scope=CancelScope)
    cdef object _open_scope(self, Task task)
    @cython.locals(engine=Engine, ours=Task)
    cdef object _add(self, coro, dict options)
    @cython.locals(engine=Engine, task=Task)
    cdef object _create_elsewhere(self, coro, dict options)
    cdef bint _is_closed(self) noexcept
    cdef bint _is_finished(self) noexcept
    cdef object _refuse(self, coro)
    cdef object _abort(self)
    cdef bint _is_cancelled(self) except -1
    cdef object _abort_strangers(self)
    cdef object _task_over(self, task)
    cdef object _tell_if_empty(self)
    cdef object _task_succeeded(self, task)
    cdef object _task_failed(self, task, error)
    cdef bint _has_complaints(self) except -1


cdef class _Member(Watcher):
    cdef Group _group

    @cython.locals(group=Group, future=Future)
    cdef run(self)
    cpdef object waiting_task(self)


cdef class Enter(Operation):
    cdef Group _group


cdef class Leave(Operation):
    cdef readonly Group _group
    cdef object _error
    cdef object _cancellation

    cdef object _stop(self, error)
    cdef object _wait_or_end(self)
    cdef object _to_raise(self)
    cdef object _let_go(self)


@cython.locals(watcher=_Member)
cdef object attend(Group group, Task task)
@cython.locals(operation=Enter)
cdef Enter _entering(Group group)
@cython.locals(operation=Leave)
cdef Leave _leaving(Group group, error)
