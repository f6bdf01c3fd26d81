"""Compiled twin of ``iteration.py``: see there."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

ctypedef PyObject *(*Next)(PyObject *) except? NULL

cdef extern from "Python.h":
    ctypedef PyObject *(*unaryfunc)(PyObject *)
    ctypedef struct PyAsyncMethods:
        unaryfunc am_await
    ctypedef struct IteratorType "PyTypeObject":
        unaryfunc tp_iternext
        PyAsyncMethods *tp_as_async


cdef class Iteration:
    cdef object advance(self):
        raise NotImplementedError(f"{type(self).__name__} must define advance()")

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


cdef PyObject *next_step(PyObject *this) except? NULL:
    cdef Iteration iteration = <Iteration>this
    awaited = iteration.advance()
    if awaited is not None:
        Py_INCREF(awaited)
        return <PyObject *>awaited
    if iteration._result is not None:
        hocket_stop_with(<PyObject *>iteration._result)
    return NULL


# The slot behind __next__: one that returns NULL without an exception has ended, and that costs nothing.  Subclasses
# take it over when their own modules are imported.
(<IteratorType *><PyObject *>Iteration).tp_iternext = <unaryfunc>next_step


cdef Step _begin = NULL
cdef Step _resume = NULL


cdef PyObject *await_itself(PyObject *this) except NULL:
    iterator = _begin(<object>this)
    Py_INCREF(iterator)
    return <PyObject *>iterator


cdef PyObject *next_of_itself(PyObject *this) except? NULL:
    awaited = _resume(<object>this)
    if <PyObject *>awaited == this:
        Py_INCREF(awaited)
        return this
    if awaited is not None:
        hocket_stop_with(<PyObject *>awaited)
    return NULL


cdef object iterate_itself(cls, Step begin, Step resume):
    global _begin, _resume
    if _begin != NULL:
        raise RuntimeError("one class can iterate itself")
    _begin = begin
    _resume = resume
    # The slots alone: what Python code finds under __await__ and __iter__ stays what it was, also in Python subclasses.
    (<IteratorType *><PyObject *>cls).tp_iternext = <unaryfunc>next_of_itself
    (<IteratorType *><PyObject *>cls).tp_as_async.am_await = <unaryfunc>await_itself
    return None
