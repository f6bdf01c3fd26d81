from hocket.core.ready cimport Runnable
from hocket.native.step cimport call, copy_context


cdef class Handle(Runnable):
    cdef public object _callback
    cdef public tuple _args
    cdef public object _context
    cdef public object _loop
    cdef public bint _cancelled
    cdef public object _repr
    cdef public object _source_traceback
    cdef object __weakref__

    cdef _init_handle(self, callback, tuple args, loop, context, bint debug)
    cdef _drop(self)
    cdef run(self)
    cdef _report(self, error, callback, args)


cdef class TimerHandle(Handle):
    cdef double _due
    cdef bint _whole
    cdef unsigned long long _order
    cdef Py_ssize_t _index
    cdef object _heap

    cdef _init_timer(self, double when, callback, tuple args, loop, context, bint debug)


cdef class ThreadSafeHandle(Handle):
    cdef object _lock

    cdef run(self)


cdef class ForeignHandle(Runnable):
    cdef object _handle

    cdef run(self)
