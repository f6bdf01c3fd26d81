from cpython.object cimport PyObject

cdef extern from *:
    """
    #ifndef HOCKET_STOP_WITH
    #define HOCKET_STOP_WITH
    /* StopIteration with a value, without a traceback; an exception or a tuple must not be taken for its arguments. */
    static inline void hocket_stop_with(PyObject *value) {
        PyObject *stop;
    #if PY_VERSION_HEX < 0x030C0000
        if (!PyTuple_Check(value) && !PyExceptionInstance_Check(value)) {
            Py_INCREF(PyExc_StopIteration);
            Py_INCREF(value);
            PyErr_Restore(PyExc_StopIteration, value, NULL);
            return;
        }
    #endif
        stop = PyObject_CallOneArg(PyExc_StopIteration, value);
        if (stop == NULL)
            return;
    #if PY_VERSION_HEX < 0x030C0000
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    #else
        PyErr_SetRaisedException(stop);
    #endif
    }
    #endif
    """
    void hocket_stop_with(PyObject *value) noexcept


cdef class Iteration:
    cdef object _result

    cdef object advance(self)


ctypedef object (*Step)(object)

cdef object iterate_itself(cls, Step begin, Step resume)
