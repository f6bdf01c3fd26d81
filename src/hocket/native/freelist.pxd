from cpython.object cimport PyObject


cdef extern from *:
    """
    static inline void hocket_track(PyObject *object) {
        if (PyObject_IS_GC(object) && !PyObject_GC_IsTracked(object))
            PyObject_GC_Track(object);
    }

    /* Cython makes a dictionary for every new object.  Without one the interpreter makes it when it is asked for. */
    static inline void hocket_drop_attributes(PyObject *object) {
        Py_ssize_t offset = Py_TYPE(object)->tp_dictoffset;
        if (offset > 0) {
            PyObject **attributes = (PyObject **)((char *)object + offset);
            if (*attributes != NULL && PyDict_GET_SIZE(*attributes) == 0)
                Py_CLEAR(*attributes);
        }
    }
    """
    void drop_attributes "hocket_drop_attributes"(object candidate)
    void track "hocket_track"(object candidate)
    Py_ssize_t Py_REFCNT(object candidate)


cdef inline bint is_shared(object candidate):
    return Py_REFCNT(candidate) > 1
