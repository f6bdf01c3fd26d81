cimport cython

from hocket.core.driver cimport Driver
from hocket.core.handles cimport ForeignHandle, Handle, ThreadSafeHandle, TimerHandle
from hocket.core.ready cimport Ready, Runnable
from hocket.core.timers cimport TimerHeap


cdef class Scheduler:
    cdef Ready _queue
    cdef TimerHeap _timers
    cdef readonly Driver _driver
    cdef double _resolution
    cdef object _time_source
    cdef bint _time_replaced
    cdef double _longest_wait
    cdef object _inbox
    cdef bint _woken
    cdef list _turn_end
    cdef list _live
    cdef object _announced
    cdef dict _current_tasks
    cdef public bint _closed
    cdef readonly long _owner
    cdef public bint _stopping
    cdef public bint _debug
    cdef public object _thread_id
    cdef public object _current_handle
    cdef bint _measuring
    cdef readonly unsigned long long turns
    cdef readonly unsigned long long steps
    cdef readonly unsigned long long callbacks
    cdef public unsigned long long tasks_started
    cdef public unsigned long long tasks_finished
    cdef public unsigned long long tasks_failed
    cdef public unsigned long long tasks_cancelled
    cdef double _busy
    cdef double _idle
    cdef double _longest_step
    cdef object _longest_step_task
    cdef object _longest_step_where
    cdef object __weakref__

    @cython.locals(queue=Ready, driver=Driver, timeout=double, first=TimerHandle)
    cpdef _run_once(self)
    cdef double _now(self) except? -2
    @cython.locals(first=TimerHandle, timeout=double)
    cdef double _how_long(self) except? -2
    @cython.locals(timers=TimerHeap, first=TimerHandle)
    cdef _queue_due(self, double until)
    @cython.locals(queue=Ready, item=Runnable)
    cdef _run_ready(self, Py_ssize_t count)
    @cython.locals(waiting=list, item=Runnable, begun=Py_ssize_t)
    cdef _end_turn(self)
    cpdef at_turn_end(self, Runnable item)
    cdef _take_inbox(self)
    @cython.locals(before=double)
    cdef _poll_measured(self, double timeout)
    @cython.locals(queue=Ready, driver=Driver, item=Runnable, before=double)
    cdef _run_watched(self, Py_ssize_t count)
    cdef _note_step(self, Runnable item, double seconds)

    cdef publish(self, task)
    cdef retract(self)

    @cython.locals(handle=Handle)
    cdef Handle enqueue(self, callback, tuple args, context)
    @cython.locals(timer=TimerHandle)
    cdef TimerHandle _call_at(self, double when, callback, tuple args, context, by)
    cpdef _check_closed(self)
    cpdef _check_thread(self)


cdef Runnable _runnable(handle)
