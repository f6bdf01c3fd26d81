cimport cython

from hocket.core.ready cimport Runnable
from hocket.core.scheduler cimport Scheduler
from hocket.native.freelist cimport drop_attributes
from hocket.native.iteration cimport Iteration, iterate_itself
from hocket.native.step cimport copy_context


cdef extern from *:
    """
    /* asyncio's futures and tasks are C, and leave no frame of theirs in the traceback of what passes through them.
       Neither do ours.  What has no traceback yet gets one: Cython's handlers rely on it. */
    static int hocket_traceback_here(PyFrameObject *frame) {
        int passes_through;
    #if PY_VERSION_HEX >= 0x030C0000
        PyObject *error = PyErr_GetRaisedException();
        passes_through = error != NULL && ((PyBaseExceptionObject *)error)->traceback != NULL;
        PyErr_SetRaisedException(error);
    #else
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        passes_through = traceback != NULL;
        PyErr_Restore(type, value, traceback);
    #endif
        if (passes_through && (strstr(__FILE__, "core/future.c") || strstr(__FILE__, "core/task.c")))
            return 0;
        return PyTraceBack_Here(frame);
    }
    #define PyTraceBack_Here(frame) hocket_traceback_here(frame)
    """


cdef int _NOBODY
cdef int _FIRST
cdef int _YIELDED


cdef class Future(Runnable):
    cdef public object _loop
    cdef Scheduler _scheduler
    # Truths, but of one byte each: of many tasks that wait, every one counts.
    cdef signed char _done
    cdef signed char _cancelled
    cdef signed char _unretrieved
    cdef signed char _iterated
    cdef public bint _asyncio_future_blocking
    cdef public object _result
    cdef public object _exception
    cdef public object _exception_tb
    cdef public object _cancel_message
    cdef public object _cancelled_exc
    cdef object _first
    cdef object _first_context
    cdef list _more
    cdef object _awaited_by
    cdef public object _source_traceback
    cdef object __weakref__
    cdef dict __dict__

    cdef _init_future(self, loop)
    cdef _check_made(self)
    cdef _finish(self, result)
    cdef _fail(self, exception)
    cdef bint _abandon(self, msg) except -1
    cdef object outcome_to_raise(self)
    cdef object _take_outcome(self)
    cdef _add_waiter(self, waiter, context)
    @cython.locals(more=list)
    cdef _wake_all(self)
    @cython.locals(scheduler=Scheduler)
    cdef _wake(self, waiter, context)


cdef class Watcher(Runnable):
    cdef Future _watched

    cdef object _init_watcher(self, Future future)
    cpdef object waiting_task(self)


cdef object watch(Future future, Watcher watcher)


cdef class FutureIterator(Iteration):
    cdef Future _future
    cdef bint _yielded

    @cython.locals(future=Future)
    cdef object advance(self)


@cython.locals(iterator=FutureIterator)
cdef FutureIterator _iterate(Future future)
@cython.locals(future=Future)
cdef object _begin(object awaited)
@cython.locals(future=Future)
cdef object _resume(object iterator)


@cython.locals(ours=Future)
cpdef add_to_awaited_by(future, waiter)
@cython.locals(ours=Future)
cpdef discard_from_awaited_by(future, waiter)
