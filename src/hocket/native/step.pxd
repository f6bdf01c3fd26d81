cimport cython
from cpython.object cimport PyObject

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(PyObject *iterator, PyObject *value, PyObject **result)
    int PyContext_Enter(PyObject *context)
    int PyContext_Exit(PyObject *context)
    PyObject *PyObject_Call(PyObject *callable, PyObject *args, PyObject *kwargs)
    PyObject *Py_None
    object PyContext_CopyCurrent()
    bint PyCoro_CheckExact(object candidate)

cdef extern from *:
    """
    /* The exception being raised, as one object with its traceback set; the indicator is cleared. */
    static inline PyObject *hocket_take_error(void) {
    #if PY_VERSION_HEX >= 0x030C0000
        return PyErr_GetRaisedException();
    #else
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
        if (traceback != NULL) {
            PyException_SetTraceback(value, traceback);
            Py_DECREF(traceback);
        }
        Py_XDECREF(type);
        return value;
    #endif
    }

    static inline void hocket_put_error(PyObject *error) {
    #if PY_VERSION_HEX >= 0x030C0000
        PyErr_SetRaisedException(error);
    #else
        PyObject *type = (PyObject *)Py_TYPE(error);
        Py_INCREF(type);
        PyErr_Restore(type, error, PyException_GetTraceback(error));
    #endif
    }

    /* Enter (unless the context is None), resume, exit.  The exception, if any, is handed out in *result like a value. */
    static inline PySendResult hocket_send(PyObject *coroutine, PyObject *context, PyObject **result) {
        PySendResult status;
        *result = NULL;
        if (context != Py_None && PyContext_Enter(context) != 0) {
            *result = hocket_take_error();
            return PYGEN_ERROR;
        }
        status = PyIter_Send(coroutine, Py_None, result);
        if (status == PYGEN_ERROR)
            *result = hocket_take_error();
        if (context != Py_None && PyContext_Exit(context) != 0) {
            Py_XDECREF(*result);
            *result = hocket_take_error();
            return PYGEN_ERROR;
        }
        return status;
    }

    static inline PyObject *hocket_call(PyObject *callback, PyObject *args, PyObject *context) {
        PyObject *result, *error;
        if (PyContext_Enter(context) != 0)
            return NULL;
        result = PyObject_Call(callback, args, NULL);
        if (result == NULL) {
            error = hocket_take_error();
            if (PyContext_Exit(context) != 0)
                Py_DECREF(error);
            else
                hocket_put_error(error);
            return NULL;
        }
        if (PyContext_Exit(context) != 0)
            Py_CLEAR(result);
        return result;
    }
    """
    PySendResult hocket_send(PyObject *coroutine, PyObject *context, PyObject **result)
    object hocket_call(PyObject *callback, PyObject *args, PyObject *context)


@cython.final
@cython.freelist(64)
cdef class Returned:
    cdef readonly object value


@cython.final
@cython.freelist(16)
cdef class Raised:
    cdef readonly object error


cdef object throw(object coroutine, object error, object context)
cdef object settled(PySendResult status, PyObject *result)


cdef inline object send(object coroutine, object context):
    cdef PyObject *result
    cdef PySendResult status = hocket_send(<PyObject *>coroutine, <PyObject *>context, &result)
    if status == PYGEN_NEXT:
        return take(result)
    return settled(status, result)


cdef inline object copy_context():
    return PyContext_CopyCurrent()


cdef inline bint is_coroutine(object candidate):
    return PyCoro_CheckExact(candidate)


cdef inline object call(object callback, object args, object context):
    return hocket_call(<PyObject *>callback, <PyObject *>args, <PyObject *>context)


cdef extern from *:
    """
    /* Cython counts a returned object* as a new reference: exactly what we hold. */
    #define hocket_take(reference) (reference)
    """
    object take "hocket_take"(PyObject *reference)
