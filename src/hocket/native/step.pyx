"""Compiled twin of ``step.py``: see there."""

cimport cython
from cpython.object cimport PyObject


# Cython takes these decorators from the definition, not from the .pxd.
@cython.final
@cython.freelist(64)
cdef class Returned:
    def __init__(self, value):
        self.value = value


@cython.final
@cython.freelist(16)
cdef class Raised:
    def __init__(self, error):
        self.error = error


cdef object settled(PySendResult status, PyObject *result):
    cdef Returned returned
    cdef Raised raised
    if status == PYGEN_RETURN:
        returned = Returned.__new__(Returned)
        returned.value = take(result)
        return returned
    raised = Raised.__new__(Raised)
    raised.error = take(result)
    return raised


cdef object throw(object coroutine, object error, object context):
    # Throwing is rare, so it takes the plain way; only the traceback is kept as clean as that of send().
    try:
        return coroutine.throw(error) if context is None else context.run(coroutine.throw, error)
    except StopIteration as stop:
        return Returned(stop.value)
    except BaseException as raised:
        traceback = raised.__traceback__
        return Raised(raised.with_traceback(traceback.tb_next if traceback is not None else None))


# The same names for Python callers: the tests hold the twins against each other.
def python_send(coroutine, context):
    return send(coroutine, context)


def python_throw(coroutine, error, context):
    return throw(coroutine, error, context)


def python_call(callback, args, context):
    return call(callback, args, context)


def python_copy_context():
    return copy_context()


def python_copy_of(context):
    return copy_of(context)


def python_is_current(context):
    return is_current(context)


def python_is_coroutine(candidate):
    return is_coroutine(candidate)


def python_attempt(callback, args, context):
    return attempt(callback, args, context)
