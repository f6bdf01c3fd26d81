cimport cython

from hocket.core.future cimport Future
from hocket.core.wait cimport Wait


cdef int _MUST
cdef int _LEVEL
cdef int _INTERRUPTED
cdef int _DEAF
cdef long _PATIENCE
cdef double _FIRST_DELAY
cdef double _LONGEST_DELAY
cdef double _FOREVER


cdef class Scope


cdef class Interruptible(Future):
    cdef public int _num_cancels_requested
    cdef readonly int _struck
    cdef Scope _interrupted_by
    cdef object _strikes_later
    cdef double _inherited_deadline
    # What every step touches stands behind that, next to the task's own.
    cdef readonly Scope _scope
    cdef readonly unsigned long long _steps
    cdef int _cancellation
    cdef readonly unsigned int _recovered
    cdef public object _fut_waiter

    cdef _init_interruptible(self)
    cdef _note_must(self, bint value)
    cdef _cancel_natively(self, msg)
    cdef _uncancel(self)
    cdef Py_ssize_t _natively_cancelled(self) noexcept
    cdef bint _ends_cancelled(self) noexcept
    cdef _suspended(self)
    @cython.locals(wait=Wait)
    cdef bint _holds_back(self, error) except -1
    @cython.locals(noted=int, scope=Scope)
    cdef object _what_to_raise(self, error)
    cdef object _cancelled_by(self, Scope scope)
    cdef _strike(self)
    @cython.locals(scope=Scope)
    cdef _strike_now(self)
    @cython.locals(delay=double)
    cdef _strike_later(self)
    cpdef _strike_again(self)
    cdef _look_again(self)
    cdef _stop_listening(self)
    @cython.locals(outermost=Scope)
    cdef _be_inside(self, Scope scope)
    @cython.locals(scope=Scope)
    cdef bint _is_inside(self, Scope outer) noexcept
    cdef _leave_scopes(self)


cdef class Scope:
    cdef double _deadline
    cdef bint _shield
    cdef bint _cancelled
    cdef readonly Interruptible _host
    cdef readonly Scope _parent
    cdef set _members
    cdef object _reason
    cdef object _canceller
    cdef object _beside
    cdef object __weakref__

    cpdef str _describe(self)


@cython.locals(found=Scope)
cdef Scope visible(Scope scope)
@cython.locals(found=Scope)
cdef Scope felt(Interruptible task, Scope scope)
@cython.locals(earliest=double, scope=Scope)
cpdef double deadline_inside(Interruptible task) except? -1
@cython.locals(scope=Scope)
cpdef tuple told(Interruptible task)
