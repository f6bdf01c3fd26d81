cimport cython

from hocket.core.accounting cimport Accounting
from hocket.core.driver cimport Driver
from hocket.core.handles cimport ForeignHandle, Handle, ThreadSafeHandle, TimerHandle
from hocket.core.ready cimport Ready, Runnable
from hocket.core.timers cimport TimerHeap
from hocket.native.freelist cimport is_shared, track
from hocket.native.interpreter cimport give_way
from hocket.native.measure cimport ticks
from hocket.native.running cimport announce, this_thread
from hocket.native.step cimport copy_context, is_current


cdef Py_ssize_t _STEPS_WITHOUT_ASKING
cdef unsigned long long _TURNS_WITHOUT_GIVING_WAY


cdef class Scheduler(Accounting):
    cdef TimerHeap _timers
    cdef readonly Driver _driver
    cdef double _resolution
    cdef object _time_source
    cdef bint _time_replaced
    cdef bint _timers_replaced
    cdef double _longest_wait
    cdef list _inbox
    cdef bint _posted
    cdef object _shared_context
    cdef bint _taking
    cdef bint _woken
    cdef bint _runs_on
    cdef Py_ssize_t _unasked
    cdef public Py_ssize_t _own_descriptors
    cdef list _turn_end
    cdef list _live
    cdef object _announced
    cdef object _adopting
    cdef dict _current_tasks
    cdef bint _announces_natively
    cdef public bint _closed
    cdef readonly long _owner
    cdef public bint _stopping
    cdef public bint _debug
    cdef public object _thread_id
    cdef public object _current_handle
    cdef unsigned long long _tracked_at
    cdef bint _waiting
    cdef object __weakref__

    @cython.locals(queue=Ready, driver=Driver, item=Runnable, timeout=double, before=cython.ulonglong)
    cdef _turn(self)
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
    cdef _add_to_inbox(self, Runnable item)
    cdef _wake_up(self)
    @cython.locals(handle=ThreadSafeHandle, shared=bint)
    cdef ThreadSafeHandle _enqueue_threadsafe(self, callback, tuple args, context)
    @cython.locals(queue=Ready, driver=Driver, item=Runnable, before=double)
    cdef _run_watched(self, Py_ssize_t count)
    cdef _note_slow(self, Runnable item, double seconds)

    cdef publish(self, task)
    cdef retract(self)

    @cython.locals(handle=Handle)
    cdef Handle enqueue(self, callback, tuple args, context)
    @cython.locals(timer=TimerHandle)
    cdef TimerHandle _call_at(self, double when, callback, tuple args, context, by)
    cpdef _check_closed(self)
    cpdef _check_thread(self)


cdef Scheduler _latest
cdef unsigned long _latest_thread

cpdef note_running(Scheduler loop)
cpdef note_stopped(loop)
@cython.locals(loop=Scheduler)
cdef object running_here()
@cython.locals(loop=Scheduler)
cdef object running_task()

cdef unsigned long long nanoseconds(double seconds) noexcept
cdef Runnable _runnable(handle)
