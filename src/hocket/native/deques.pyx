"""Compiled twin of ``deques.py``: see there."""

from cpython.object cimport PyObject

cdef extern from *:
    """
    static PyTypeObject *hocket_deque;
    static PyCFunction hocket_append, hocket_popleft;

    /* The C function behind a method, if it takes its arguments as expected. */
    static PyCFunction hocket_behind(PyObject *descriptor, int flags) {
        PyMethodDef *method;
        if (!PyObject_TypeCheck(descriptor, &PyMethodDescr_Type))
            return NULL;
        method = ((PyMethodDescrObject *)descriptor)->d_method;
        return method->ml_flags == flags ? method->ml_meth : NULL;
    }

    static int hocket_find_deque(void) {
        PyObject *append = NULL, *popleft = NULL, *module = PyImport_ImportModule("collections");
        if (module == NULL)
            return -1;
        hocket_deque = (PyTypeObject *)PyObject_GetAttrString(module, "deque");
        Py_DECREF(module);
        if (hocket_deque == NULL)
            return -1;
        append = PyObject_GetAttrString((PyObject *)hocket_deque, "append");
        popleft = PyObject_GetAttrString((PyObject *)hocket_deque, "popleft");
        if (append != NULL && popleft != NULL) {
            hocket_append = hocket_behind(append, METH_O);
            hocket_popleft = hocket_behind(popleft, METH_NOARGS);
        }
        Py_XDECREF(append);
        Py_XDECREF(popleft);
        if (PyErr_Occurred())
            return -1;
        return hocket_append != NULL && hocket_popleft != NULL;
    }
    """
    PyObject *hocket_deque
    object hocket_append(PyObject *queue, PyObject *item)
    object hocket_popleft(PyObject *queue, PyObject *nothing)
    bint hocket_find_deque() except -1
    PyObject *type_of "(PyObject *)Py_TYPE"(PyObject *candidate) noexcept
    Py_ssize_t size_of "Py_SIZE"(PyObject *queue) noexcept


# Where the methods are not what they were, nothing passes for a deque and the ordinary calls are made.
cdef bint found = hocket_find_deque()


cdef bint is_deque(candidate) noexcept:
    return found and type_of(<PyObject *>candidate) == hocket_deque


cdef object append(queue, item):
    return hocket_append(<PyObject *>queue, <PyObject *>item)


cdef object popleft(queue):
    return hocket_popleft(<PyObject *>queue, NULL)


cdef Py_ssize_t size(queue) noexcept:
    return size_of(<PyObject *>queue)


# The same for Python callers: the tests hold the twins against each other.
def python_is_deque(candidate):
    return is_deque(candidate)


def python_append(queue, item):
    return append(queue, item)


def python_popleft(queue):
    return popleft(queue)


def python_size(queue):
    return size(queue)
