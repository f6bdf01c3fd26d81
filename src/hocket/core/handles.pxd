from hocket.core.ready cimport Runnable
from hocket.native.freelist cimport track
from hocket.native.ring cimport CALL, FROM_THREAD, SOON, TIMED, Ring
from hocket.native.step cimport attempt, copy_context, copy_of


cdef class Handle(Runnable):
    cdef public object _callback
    cdef public tuple _args
    cdef public object _context
    cdef public object _loop
    cdef public bint _cancelled
    cdef bint _debug
    cdef public object _repr
    cdef public object _source_traceback
    cdef object __weakref__

    cdef _init_handle(self, callback, tuple args, loop, context, bint debug)
    cdef _drop(self)
    cdef run(self)
    cdef void record(
        self, Ring ring, unsigned int loop, unsigned long long since, unsigned long long started, unsigned long long ended
    ) noexcept
    cdef void _record(
        self,
        Ring ring,
        int detail,
        unsigned int loop,
        unsigned long long since,
        unsigned long long started,
        unsigned long long ended,
    ) noexcept
    cdef _report(self, error, callback, args)


cdef class TimerStore:
    cpdef remove(self, TimerHandle timer)


cdef class TimerHandle(Handle):
    cdef double _due
    cdef bint _whole
    cdef unsigned long long _order
    cdef Py_ssize_t _index
    cdef TimerStore _heap

    cdef void record(
        self, Ring ring, unsigned int loop, unsigned long long since, unsigned long long started, unsigned long long ended
    ) noexcept
    cdef _take_back(self)
    cdef _init_timer(self, double when, callback, tuple args, loop, context, bint debug)


cdef class ThreadSafeHandle(Handle):
    cdef bint _running
    cdef bint _shares_context
    cdef object _over

    cdef _init_threadsafe(self, callback, tuple args, loop, context, bint debug, bint shared)
    cdef _unshare(self)
    cdef run(self)
    cdef void record(
        self, Ring ring, unsigned int loop, unsigned long long since, unsigned long long started, unsigned long long ended
    ) noexcept
    cdef _let_it_end(self)


cdef class ForeignHandle(Runnable):
    cdef object _handle

    cdef run(self)
    cdef void record(
        self, Ring ring, unsigned int loop, unsigned long long since, unsigned long long started, unsigned long long ended
    ) noexcept
