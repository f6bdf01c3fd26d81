"""Compiled twin of ``operation.py``: see there."""

import warnings

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

cdef extern from *:
    """
    /* StopIteration with a value, without a traceback; an exception or a tuple must not be taken for its arguments. */
    static inline void hocket_stop_with(PyObject *value) {
        PyTypeObject *type = (PyTypeObject *)PyExc_StopIteration;
        PyObject *arguments, *stop;
    #if PY_VERSION_HEX >= 0x030C0000 && !defined(Py_GIL_DISABLED)
        /* The commonest value has an exception that serves again and again, as long as nobody else holds it or has
           written into it. */
        static PyObject *with_true = NULL;
        if (value == Py_True && with_true != NULL) {
            PyStopIterationObject *last = (PyStopIterationObject *)with_true;
            if (Py_REFCNT(with_true) == 1 && last->value == Py_True && last->traceback == NULL && last->context == NULL
                && last->cause == NULL && last->notes == NULL && last->dict == NULL) {
                PyErr_SetRaisedException(Py_NewRef(with_true));
                return;
            }
        }
    #endif
    #if PY_VERSION_HEX < 0x030C0000
        if (!PyTuple_Check(value) && !PyExceptionInstance_Check(value)) {
            Py_INCREF(PyExc_StopIteration);
            Py_INCREF(value);
            PyErr_Restore(PyExc_StopIteration, value, NULL);
            return;
        }
    #endif
        /* What calling the type does, without parsing the arguments: most of the cost of a wait that is over at once. */
        arguments = PyTuple_Pack(1, value);
        if (arguments == NULL)
            return;
        stop = type->tp_new(type, arguments, NULL);
        Py_DECREF(arguments);
        if (stop == NULL)
            return;
        Py_INCREF(value);
        Py_XSETREF(((PyStopIterationObject *)stop)->value, value);
    #if PY_VERSION_HEX < 0x030C0000
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    #else
    #if !defined(Py_GIL_DISABLED)
        if (value == Py_True)
            Py_XSETREF(with_true, Py_NewRef(stop));
    #endif
        PyErr_SetRaisedException(stop);
    #endif
    }
    """
    void hocket_stop_with(PyObject *value) noexcept

cdef extern from "Python.h":
    ctypedef PyObject *(*iternextfunc)(PyObject *)
    ctypedef int (*sendfunc)(PyObject *, PyObject *, PyObject **)
    ctypedef struct AsyncMethods "PyAsyncMethods":
        sendfunc am_send
    ctypedef struct IteratorType "PyTypeObject":
        iternextfunc tp_iternext
        AsyncMethods *tp_as_async
    void PyType_Modified(PyTypeObject *type)

cdef enum:
    NEW = 0
    WAITING = 1
    OVER = 2


# Cython takes this decorator from the definition, not from the .pxd.
@cython.freelist(256)
cdef class Operation:
    _name = "operation"

    @property
    def __name__(self):
        return self._name

    def __repr__(self):
        return f"<coroutine {self.__name__} at {id(self):#x}>"

    def __dealloc__(self):
        # Not __del__: the collector calls that once for a place in memory, and the free list uses places again.
        if self._stage == NEW:
            never_awaited(self._name)

    cdef object _begin(self):
        return None

    cdef object _resume(self):
        return None

    cdef object _interrupt(self, error):
        raise error

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        # Stands for the slot that is put in its place below.
        raise NotImplementedError

    def send(self, value):
        """Resume; the value is of no consequence."""
        awaited = self.advance()
        if awaited is not None:
            return awaited
        raise StopIteration(self._result)

    def throw(self, kind, value=None, traceback=None):
        """Raise an exception where the operation waits."""
        error = thrown(kind, value, traceback)
        if self._stage == OVER:
            reused()
        cdef bint waiting = self._stage == WAITING
        self._stage = OVER
        if not waiting:
            raise error
        awaited = self._interrupt(error)
        if self.over(awaited):
            raise StopIteration(self._result)
        return awaited

    def close(self):
        """End the operation where it waits."""
        if self._stage != WAITING:
            self._stage = OVER
            return
        try:
            self.throw(GeneratorExit)
        except (GeneratorExit, StopIteration):
            return
        raise RuntimeError("coroutine ignored GeneratorExit")

    cdef object advance(self):
        cdef int stage = self._stage
        self._stage = OVER
        if stage == NEW:
            awaited = self._begin()
        elif stage == WAITING:
            awaited = self._resume()
        else:
            reused()
        if awaited is self:
            self._stage = WAITING
        elif awaited is not None or self._future is not None:
            self.over(awaited)
        return awaited

    cdef object over(self, awaited):
        if awaited is self:
            self._stage = WAITING
            return False
        self._future = awaited
        if awaited is None:
            return True
        awaited._asyncio_future_blocking = True
        self._stage = WAITING
        return False


cdef class Immediate(Operation):
    cdef object advance(self):
        return None


cdef PyObject *next_step(PyObject *this) except? NULL:
    cdef Operation operation = <Operation>this
    awaited = operation.advance()
    if awaited is not None:
        Py_INCREF(awaited)
        return <PyObject *>awaited
    result = operation._result
    if result is not None:
        hocket_stop_with(<PyObject *>result)
    return NULL


@cython.final
@cython.freelist(256)
cdef class Pause:
    @property
    def __name__(self):
        return "sleep"

    def __dealloc__(self):
        if self._stage == NEW:
            never_awaited("sleep")

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        # Stands for the slot that is put in its place below.
        raise NotImplementedError

    def send(self, value):
        """Resume; the value is of no consequence."""
        cdef PyObject *awaited = next_turn(<PyObject *>self)
        if awaited is NULL:
            raise StopIteration
        return None

    def throw(self, kind, value=None, traceback=None):
        """Raise an exception where the operation waits."""
        if self._stage == OVER:
            reused()
        self._stage = OVER
        raise thrown(kind, value, traceback)

    def close(self):
        """End it."""
        self._stage = OVER


cdef PyObject *next_turn(PyObject *this) except? NULL:
    cdef Pause pause = <Pause>this
    cdef int stage = pause._stage
    if stage == NEW:
        pause._stage = WAITING
        Py_INCREF(None)
        return <PyObject *>None
    pause._stage = OVER
    if stage == OVER:
        reused()
    return NULL


# The same for PyIter_Send, which tasks use and, on Python 3.11, await: 1 is a value that was yielded, 0 the result.

cdef int send_step(PyObject *this, PyObject *nothing, PyObject **result) except -1:
    cdef Operation operation = <Operation>this
    result[0] = NULL
    awaited = operation.advance()
    if awaited is not None:
        Py_INCREF(awaited)
        result[0] = <PyObject *>awaited
        return 1
    awaited = operation._result
    Py_INCREF(awaited)
    result[0] = <PyObject *>awaited
    return 0


cdef int send_turn(PyObject *this, PyObject *nothing, PyObject **result) except -1:
    result[0] = NULL
    result[0] = next_turn(this)
    if result[0] is not NULL:
        return 1
    Py_INCREF(None)
    result[0] = <PyObject *>None
    return 0


# The slots behind __next__: one that returns NULL without an exception has ended, and that costs nothing.  Subclasses
# take them over when their own modules are imported.
(<IteratorType *><PyObject *>Operation).tp_iternext = <iternextfunc>next_step
(<IteratorType *><PyObject *>Immediate).tp_iternext = <iternextfunc>next_step
(<IteratorType *><PyObject *>Pause).tp_iternext = <iternextfunc>next_turn
(<IteratorType *><PyObject *>Operation).tp_as_async.am_send = <sendfunc>send_step
(<IteratorType *><PyObject *>Immediate).tp_as_async.am_send = <sendfunc>send_step
(<IteratorType *><PyObject *>Pause).tp_as_async.am_send = <sendfunc>send_turn


cdef Immediate immediate(value):
    cdef Immediate operation = Immediate.__new__(Immediate)
    # What it stands for has been done already: nobody has to await it.
    operation._stage = OVER
    operation._result = value
    return operation


cdef Immediate NOTHING = immediate(None)


cdef object given(value):
    return NOTHING if value is None else immediate(value)


cdef object thrown(kind, value, traceback):
    if isinstance(kind, BaseException):
        error = kind
    elif isinstance(value, BaseException):
        error = value
    else:
        error = kind() if value is None else kind(value)
    return error if traceback is None else error.with_traceback(traceback)


cdef object never_awaited(name):
    warnings.warn(f"coroutine '{name}' was never awaited", RuntimeWarning, stacklevel=1)


cdef object reused():
    raise RuntimeError("cannot reuse already awaited coroutine")


# The same name for Python callers: the tests hold the twins against each other.
def python_given(value):
    return given(value)
