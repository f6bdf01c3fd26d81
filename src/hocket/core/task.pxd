cimport cython

from hocket.core.future cimport Future
from hocket.core.handles cimport Handle
from hocket.core.ready cimport Ready
from hocket.core.scheduler cimport Scheduler
from hocket.core.cancellation cimport Interruptible, deadline_inside
from hocket.core.wait cimport Wait
from hocket.native.frames cimport calling_code, calling_offset
from hocket.native.freelist cimport is_shared, track
from hocket.native.measure cimport Histogram, ticks
from hocket.native.operation cimport Operation
from hocket.native.ring cimport CANCEL, CANCELLED, DONE, EAGER, ENDED, FAILED, FINISHED, SPAWN, STEP, WITHIN, YIELDED
from hocket.native.ring cimport WAITS_FOR_FOREIGN, WAITS_FOR_FUTURE, WAITS_FOR_OPERATION, WAITS_FOR_TASK, Ring
from hocket.native.step cimport Raised, Returned, copy_context, is_coroutine, send, throw


cdef unsigned long long _numbered

cdef unsigned long long _next_number() noexcept


cdef class Task(Interruptible):
    # What every step touches stands together: of many tasks that take turns, each line of the cache counts.
    cdef public object _coro
    cdef public object _context
    cdef object _to_raise
    cdef public bint _log_destroy_pending
    cdef int _slot
    # What the task has done so far, in ticks where it is time.
    cdef readonly unsigned long long _ran
    cdef readonly unsigned long long _longest
    cdef readonly unsigned long long _waited
    cdef readonly unsigned long long _longest_wait
    cdef public tuple _histograms
    cdef readonly unsigned long long _yields
    cdef readonly object _name
    cdef readonly unsigned long long _number
    cdef readonly object _made_by_code
    cdef readonly int _made_at
    cdef readonly unsigned long long _parent

    cdef _init_task(self, coro, loop, name, context, bint eager_start)
    @cython.locals(maker=Task)
    cdef _note_maker(self, task)
    cdef _start_soon(self)
    @cython.locals(began=cython.ulonglong)
    cdef _start_now(self)
    @cython.locals(began=cython.ulonglong)
    cdef _start_within(self, Scheduler scheduler, creator)
    @cython.locals(wait=Wait, future=Future)
    cdef run(self)
    cdef _resume(self, error, context)
    cdef _advance_elsewhere(self, error, context)
    cdef _advance(self, error, context)
    cdef _wait_for(self, Future future)
    cdef _wait_on(self, Wait wait)
    cdef _wait_for_foreign(self, awaited)
    cdef _refuse(self, awaited)
    cdef _make_ready(self, error)
    cdef void account(self, unsigned long long waited, unsigned long long ran, unsigned long long now) noexcept
    @cython.locals(histograms=tuple, step_times=Histogram, ready_delays=Histogram)
    cdef void _count_in_histograms(self, unsigned long long waited, unsigned long long ran) noexcept
    @cython.locals(now=cython.ulonglong, since=cython.ulonglong)
    cdef void _account_within(self, int how, unsigned long long began) noexcept
    cdef void record(
        self, Ring ring, unsigned int loop, unsigned long long since, unsigned long long started, unsigned long long ended
    ) noexcept
    @cython.locals(place=cython.uint, awaited=cython.ulonglong, wait=Wait)
    cdef void _record_step(
        self,
        Ring ring,
        int how,
        unsigned int loop,
        unsigned long long since,
        unsigned long long started,
        unsigned long long ended,
    ) noexcept
    @cython.locals(ring=Ring, place=cython.uint, code=cython.uint)
    cdef void _record_made(self, Ready queue) noexcept
    @cython.locals(ring=Ring, how=int, error=cython.ulonglong)
    cdef void _record_end(self, Ready queue) noexcept
    @cython.locals(ring=Ring, scheduler=Scheduler, by=cython.ulonglong)
    cdef void _record_cancel(self, Ready queue) noexcept
    cdef _return(self, value)
    cdef _raise(self, error)
    @cython.locals(scheduler=Scheduler)
    cdef _count(self)
    @cython.locals(live=list)
    cdef _enlist(self)
    @cython.locals(live=list, slot=Py_ssize_t, last=Task)
    cdef _delist(self)


@cython.locals(made=Task)
cdef unsigned long long _number_of(task) noexcept
cdef object _code_of(coroutine)
cdef object _outcome(Future future)
