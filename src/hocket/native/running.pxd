from cpython.object cimport PyObject

cdef Py_ssize_t _offset

cdef extern from *:
    """
    /* The field owns what it points to. */
    static inline void hocket_announce(Py_ssize_t offset, PyObject *task) {
        PyObject **field = (PyObject **)((char *)PyThreadState_Get() + offset);
        PyObject *before = *field;
        *field = task == Py_None ? NULL : Py_NewRef(task);
        Py_XDECREF(before);
    }
    """
    void hocket_announce(Py_ssize_t offset, PyObject *task)


cpdef bint find(swap, set_loop, get_loop) except -1
cpdef announce(task)

cdef extern from "Python.h":
    # The number of the calling thread, as threading.get_ident() gives it.
    unsigned long this_thread "PyThread_get_thread_ident"() noexcept
