cimport cython

from hocket.core.wait cimport Line, Wait
from hocket.native.operation cimport given
from hocket.primitives.bound cimport LoopBound, number_here


cdef class Lock(LoopBound):
    cdef public Line _waiters
    cdef public bint _locked
    cdef readonly unsigned long long _holder

    cdef object _release(self)
    cdef void _take(self) noexcept
    cdef bint _is_free(self) except -1
    @cython.locals(first=Wait)
    cdef object _wake_up_first(self)
    cdef object _left(self, Wait wait, error)


cdef class AcquireLock(Wait):
    @cython.locals(lock=Lock)
    cdef object _begin(self)
    @cython.locals(lock=Lock)
    cdef object _resume(self)
    @cython.locals(lock=Lock)
    cdef object _interrupt(self, error)


cdef class Event(LoopBound):
    cdef public Line _waiters
    cdef public bint _value

    @cython.locals(wait=Wait)
    cdef object _set(self)


cdef class WaitForEvent(Wait):
    @cython.locals(event=Event)
    cdef object _begin(self)
    @cython.locals(event=Event)
    cdef object _resume(self)
    @cython.locals(event=Event)
    cdef object _interrupt(self, error)


cdef class Semaphore(LoopBound):
    cdef public Line _waiters
    cdef public Py_ssize_t _value

    cdef bint _is_locked(self) except -1
    cdef object _release(self)
    cdef bint _wake_up_next(self) except -1
    cdef object _share_out(self)


cdef class AcquireSemaphore(Wait):
    @cython.locals(semaphore=Semaphore)
    cdef object _begin(self)
    @cython.locals(semaphore=Semaphore)
    cdef object _resume(self)
    @cython.locals(semaphore=Semaphore)
    cdef object _interrupt(self, error)


cdef class BoundedSemaphore(Semaphore):
    cdef public Py_ssize_t _bound_value


cdef object shown(primitive, state, waiters)
@cython.locals(operation=AcquireLock)
cdef AcquireLock _acquire_lock(Lock lock, bint quiet)
@cython.locals(operation=WaitForEvent)
cdef WaitForEvent _wait_for_event(Event event)
@cython.locals(operation=AcquireSemaphore)
cdef AcquireSemaphore _acquire_semaphore(Semaphore semaphore, bint quiet)
