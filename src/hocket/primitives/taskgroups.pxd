cimport cython

from hocket.core.engine cimport Engine
from hocket.core.scope cimport CancelScope, move
from hocket.core.task cimport Task
from hocket.core.wait cimport Line, Wait
from hocket.primitives.bound cimport called, running
from hocket.primitives.grouping cimport Group, attend


cdef class TaskGroup(Group):
    cdef readonly Py_ssize_t _started
    cdef readonly Py_ssize_t _failed
    cdef readonly Py_ssize_t _limit
    cdef Py_ssize_t _room
    cdef readonly Line _line
    cdef object _join
    cdef list _results
    cdef list _failures
    cdef bint _satisfied
    cdef bint _complained
    cdef object _on_failure

    cdef object _set_limit(self, limit)
    cdef object _set_join(self, join)
    cdef object _why_without_scope(self)
    cdef object _make_room(self)
    @cython.locals(engine=Engine, task=Task)
    cpdef object _launch(self, coro, name, CancelScope scope)
    cpdef object _adopt(self, Task task, CancelScope scope)
    cpdef object _reserve(self)
    cpdef object _begin_start(self)
    cpdef object _end_start(self, bint place_free)
    cdef object _task_over(self, task)
    cdef object _task_succeeded(self, task)
    cdef object _task_failed(self, task, error)
    cdef bint _has_complaints(self) except -1


cdef class Spawn(Wait):
    @cython.locals(group=TaskGroup, line=Line)
    cdef object _begin(self)
    @cython.locals(group=TaskGroup)
    cdef object _resume(self)
    @cython.locals(group=TaskGroup)
    cdef object _interrupt(self, error)
    @cython.locals(group=TaskGroup)
    cdef object _spawn(self)


@cython.locals(operation=Spawn)
cdef Spawn _spawning(TaskGroup group, what)
