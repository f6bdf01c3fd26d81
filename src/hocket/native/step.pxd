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
    PyObject *Py_None
    object PyContext_CopyCurrent()
    object PyContext_Copy(PyObject *context)
    bint PyCoro_CheckExact(object candidate)

cdef extern from *:
    """
    static int hocket_note_last(PyObject *seen, void *last) {
        *(PyObject **)last = seen;
        return 0;
    }

    /* The mapping that a context holds, as the garbage collector sees it: nobody ever changes one, a context that is
       changed gets another. */
    static inline PyObject *hocket_variables(PyObject *context) {
        PyObject *last = NULL;
        Py_TYPE(context)->tp_traverse(context, hocket_note_last, &last);
        return last;
    }

    static inline int hocket_is_current(PyObject *context) {
        PyObject *current = PyThreadState_Get()->context;
        return current != NULL && hocket_variables(current) == hocket_variables(context);
    }

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
        result = PyObject_Vectorcall(callback, ((PyTupleObject *)args)->ob_item, PyTuple_GET_SIZE(args), NULL);
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

    /* What was raised, or None. */
    static inline PyObject *hocket_attempt(PyObject *callback, PyObject *args, PyObject *context) {
        PyObject *result = hocket_call(callback, args, context);
        if (result == NULL)
            return hocket_take_error();
        Py_DECREF(result);
        return Py_NewRef(Py_None);
    }
    """
    bint hocket_is_current(PyObject *context)
    object hocket_attempt(PyObject *callback, PyObject *args, PyObject *context)
    PySendResult hocket_send(PyObject *coroutine, PyObject *context, PyObject **result)
    object hocket_call(PyObject *callback, PyObject *args, PyObject *context)


@cython.final
cdef class Returned:
    cdef readonly object value


@cython.final
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


cdef inline object copy_of(object context):
    return PyContext_Copy(<PyObject *>context)


cdef inline bint is_current(object context):
    return hocket_is_current(<PyObject *>context)


cdef inline bint is_coroutine(object candidate):
    return PyCoro_CheckExact(candidate)


cdef inline int enter(object context) except -1:
    return PyContext_Enter(<PyObject *>context)


cdef inline int leave(object context) except -1:
    return PyContext_Exit(<PyObject *>context)


cdef inline object call(object callback, object args, object context):
    return hocket_call(<PyObject *>callback, <PyObject *>args, <PyObject *>context)


cdef inline object attempt(object callback, object args, object context):
    return hocket_attempt(<PyObject *>callback, <PyObject *>args, <PyObject *>context)


cdef extern from *:
    """
    /* Cython counts a returned object* as a new reference: exactly what we hold. */
    #define hocket_take(reference) (reference)
    """
    object take "hocket_take"(PyObject *reference)
