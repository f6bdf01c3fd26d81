cdef extern from *:
    """
    static inline PyObject *hocket_call_method(PyObject *receiver, PyObject *name, PyObject *argument,
                                               PyObject *context) {
        /* The place before the receiver is the callee's to use. */
        PyObject *stack[3] = {NULL, receiver, argument};
        PyObject *result;
        if (PyContext_Enter(context) != 0)
            return NULL;
        result = PyObject_VectorcallMethod(name, stack + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        if (PyContext_Exit(context) != 0)
            Py_CLEAR(result);
        return result;
    }

    /* No attribute has been set on the object itself. */
    static inline int hocket_is_plain(PyObject *object) {
        PyObject **attributes = _PyObject_GetDictPtr(object);
        return attributes == NULL || *attributes == NULL || PyDict_GET_SIZE(*attributes) == 0;
    }
    """
    bint hocket_is_plain(object candidate) noexcept
    object hocket_call_method(object receiver, object name, object argument, object context)

cdef extern from "Python.h":
    object PyContext_Copy(object context)


cdef inline object call_method(object receiver, object name, object argument, object context):
    return hocket_call_method(receiver, name, argument, context)


cdef inline object copy_of(object context):
    return PyContext_Copy(context)


cdef inline bint is_plain(object candidate):
    return hocket_is_plain(candidate)
