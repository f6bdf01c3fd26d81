cimport cython

from hocket.core.ready cimport Runnable
from hocket.core.scheduler cimport Scheduler
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


cdef class Future(Runnable):
    cdef public object _loop
    cdef Scheduler _scheduler
    cdef bint _done
    cdef bint _cancelled
    cdef public bint _asyncio_future_blocking
    cdef bint _unretrieved
    cdef public object _result
    cdef public object _exception
    cdef public object _exception_tb
    cdef public object _cancel_message
    cdef public object _cancelled_exc
    cdef object _first
    cdef object _first_context
    cdef list _more
    cdef set _awaited_by
    cdef public object _source_traceback
    cdef object __weakref__
    cdef dict __dict__

    cdef _init_future(self, loop)
    cdef _check_made(self)
    cdef _finish(self, result)
    cdef _fail(self, exception)
    cdef bint _abandon(self, msg) except -1
    cdef object outcome_to_raise(self)
    cdef _add_waiter(self, waiter, context)
    @cython.locals(more=list)
    cdef _wake_all(self)
    @cython.locals(scheduler=Scheduler)
    cdef _wake(self, waiter, context)


@cython.final
@cython.freelist(128)
cdef class FutureIterator:
    cdef Future _future
    cdef bint _yielded


@cython.locals(ours=Future)
cpdef add_to_awaited_by(future, waiter)
@cython.locals(ours=Future)
cpdef discard_from_awaited_by(future, waiter)
