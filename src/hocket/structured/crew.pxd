cimport cython

from hocket.core.engine cimport Engine
from hocket.core.future cimport Watcher, watch
from hocket.core.task cimport Task
from hocket.core.wait cimport Line, Wait
from hocket.native.operation cimport given
from hocket.native.step cimport copy_context, copy_of
from hocket.primitives.bound cimport LoopBound, current_task, running, task_engine


cdef class Crew(LoopBound):
    cdef readonly object _title
    cdef Engine _engine
    cdef object _context
    cdef readonly set _tasks
    cdef list _errors
    cdef Line _closers
    cdef bint _begun
    cdef bint _ending
    cdef bint _entered
    cdef bint _closed
    cdef bint _abandoned
    cdef object _launcher
    cdef bint _plain

    cdef object _init_crew(self, title)
    cdef bint _begin(self) except -1
    cdef object _launch(self)
    @cython.locals(engine=Engine)
    cdef object _new(self, coro, name, bint eager)
    cdef object _adopt(self, task)
    cdef object _task_over(self, task)
    @cython.locals(ours=Task)
    cdef object _error_of(self, task)
    @cython.locals(wait=Wait)
    cdef object _look_around(self)
    cdef object _all_ended(self)
    cdef object _fail(self, error)
    cdef object _abort(self)
    @cython.locals(ours=Task)
    cdef object _await_end(self, Wait wait)
    cdef object _report(self, error)
    cdef object _take_failure(self)
    cdef object _failure(self, list errors)
    cdef object _shut(self)
    cdef object _abandon(self)
    @cython.locals(wait=Wait)
    cdef object _waiting_task(self)


cdef class _Member(Watcher):
    cdef Crew _crew

    @cython.locals(crew=Crew)
    cdef run(self)
    cpdef object waiting_task(self)


@cython.locals(watcher=_Member)
cdef object _attend(Crew crew, Task task)


cdef class Close(Wait):
    cdef object _cancellation
    cdef object _error

    @cython.locals(crew=Crew)
    cdef object _begin(self)
    cdef object _resume(self)
    @cython.locals(crew=Crew)
    cdef object _interrupt(self, error)
    @cython.locals(crew=Crew)
    cdef object _wait_or_end(self)
    cdef object _to_raise(self, Crew crew)


@cython.locals(operation=Close)
cdef Close _closing(Crew crew, stream, error, bint aborts)


cdef class Stream:
    cdef readonly Crew _crew
    cdef object __weakref__
    cdef dict __dict__


cpdef object _abandon(Crew crew)
