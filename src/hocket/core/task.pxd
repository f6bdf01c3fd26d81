cimport cython

from hocket.core.future cimport Future
from hocket.core.handles cimport Handle
from hocket.core.scheduler cimport Scheduler
from hocket.native.step cimport Raised, Returned, copy_context, is_coroutine, send, throw


cdef unsigned long long _numbered

cdef unsigned long long _next_number() noexcept


cdef class Task(Future):
    cdef public object _coro
    cdef public object _context
    cdef object _name
    cdef unsigned long long _number
    cdef public object _fut_waiter
    cdef public bint _must_cancel
    cdef public Py_ssize_t _num_cancels_requested
    cdef public bint _log_destroy_pending
    cdef object _to_raise
    cdef Py_ssize_t _slot

    cdef _init_task(self, coro, loop, name, context, bint eager_start)
    cdef _start_soon(self)
    cdef _start_now(self)
    @cython.locals(waiter=Future)
    cdef run(self)
    cdef _resume(self, error, context)
    cdef _advance_elsewhere(self, error, context)
    cdef _advance(self, error, context)
    cdef _wait_for(self, Future future)
    cdef _wait_for_foreign(self, awaited)
    cdef _refuse(self, awaited)
    cdef _make_ready(self, error)
    cdef _return(self, value)
    cdef _raise(self, error)
    @cython.locals(scheduler=Scheduler)
    cdef _count(self)
    @cython.locals(live=list)
    cdef _enlist(self)
    @cython.locals(live=list, slot=Py_ssize_t, last=Task)
    cdef _delist(self)


cdef object _outcome(Future future)
