"""Compiled twin of ``running.py``: see there."""

cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState *PyThreadState_Get()

cdef Py_ssize_t _offset = -1

# The interpreter's own part of a thread's state lies behind the public one, and its first fields are what is looked for.
cdef enum:
    BEHIND = 128


class _Mark:
    """Stands for a loop or a task, somewhere in memory."""


cpdef bint find(swap, set_loop, get_loop) except -1:
    global _offset
    cdef PyObject **words = <PyObject **>PyThreadState_Get()
    cdef Py_ssize_t index, count = (sizeof(PyThreadState) + BEHIND) // sizeof(void *) - 1
    if get_loop() is not None:
        return False  # There is somebody to disturb.
    _offset = -1
    loop, task = _Mark(), _Mark()
    set_loop(loop)
    try:
        swap(loop, task)
        try:
            for index in range(count):
                # The two fields are side by side.
                if words[index] == <PyObject *>loop and words[index + 1] == <PyObject *>task:
                    _offset = (index + 1) * <Py_ssize_t>sizeof(void *)
                    break
        finally:
            swap(loop, None)
    finally:
        set_loop(None)
    return _offset >= 0


cpdef announce(task):
    if _offset < 0:
        raise RuntimeError("there is no field to be written")
    hocket_announce(_offset, <PyObject *>task)
