cdef extern from *:
    """
    static inline void hocket_exchange(PyObject *one, Py_ssize_t here, PyObject *other, Py_ssize_t there) {
        PyObject *item = PyList_GET_ITEM(one, here);
        PyList_SET_ITEM(one, here, PyList_GET_ITEM(other, there));
        PyList_SET_ITEM(other, there, item);
    }
    """
    void exchange "hocket_exchange"(list one, Py_ssize_t here, list other, Py_ssize_t there)
