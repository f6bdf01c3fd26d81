"""Compiled twin of ``freelist.py``: see there.

Cython's own free lists serve classes without a base class only.
"""

from cpython.object cimport PyTypeObject

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    enum { HOCKET_KINDS = 16 };

    /* The objects of one class that may be used again: untracked, cleared, only their memory counts. */
    typedef struct {
        PyTypeObject *type;
        Py_ssize_t count, most;
        int tracked;
        PyObject **objects;
    } hocket_spare;

    static hocket_spare hocket_spares[HOCKET_KINDS];
    static int hocket_kinds = 0;

    static inline hocket_spare *hocket_find_spare(PyTypeObject *type) {
        int i;
        for (i = 0; i < hocket_kinds; i++)
            if (hocket_spares[i].type == type)
                return &hocket_spares[i];
        return NULL;
    }

    static PyObject *hocket_alloc(PyTypeObject *type, Py_ssize_t items) {
        hocket_spare *spare = hocket_find_spare(type);
        PyObject *object;
        if (spare == NULL)
            return PyType_GenericAlloc(type, items);
        if (spare->count == 0) {
            object = PyType_GenericAlloc(type, items);
            if (object != NULL && !spare->tracked)
                PyObject_GC_UnTrack(object);
            return object;
        }
        object = spare->objects[--spare->count];
        /* The collector's two words lie before the object; one of their bits says that it was finalized. */
        memset((char *)object - 2 * sizeof(uintptr_t), 0, type->tp_basicsize + 2 * sizeof(uintptr_t));
        PyObject_Init(object, type);
        if (spare->tracked)
            PyObject_GC_Track(object);
        return object;
    }

    static void hocket_free(void *object) {
        hocket_spare *spare = hocket_find_spare(Py_TYPE((PyObject *)object));
        if (spare != NULL && spare->count < spare->most)
            spare->objects[spare->count++] = (PyObject *)object;
        else
            PyObject_GC_Del(object);
    }

    static int hocket_keep_spare(PyTypeObject *type, Py_ssize_t most, int tracked) {
    #if defined(Py_GIL_DISABLED) || defined(__SANITIZE_ADDRESS__)
        /* No lock guards the list without the interpreter's; and what is not freed is not checked. */
        return 0;
    #else
        PyObject **objects;
        if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) || !PyType_IS_GC(type) || type->tp_itemsize != 0 || most <= 0
            || hocket_kinds == HOCKET_KINDS || hocket_find_spare(type) != NULL)
            return -1;
        objects = PyMem_RawMalloc(most * sizeof(PyObject *));
        if (objects == NULL)
            return -1;
        hocket_spares[hocket_kinds].type = type;
        hocket_spares[hocket_kinds].count = 0;
        hocket_spares[hocket_kinds].most = most;
        hocket_spares[hocket_kinds].tracked = tracked;
        hocket_spares[hocket_kinds].objects = objects;
        hocket_kinds++;
        type->tp_alloc = hocket_alloc;
        type->tp_free = hocket_free;
        return 0;
    #endif
    }
    """
    int hocket_keep_spare(PyTypeObject *cls, Py_ssize_t most, bint tracked)


def keep_spare(cls, Py_ssize_t count, bint tracked=True):
    if hocket_keep_spare(<PyTypeObject *>cls, count, tracked) != 0:
        raise ValueError(f"no memory can be kept for {count} objects of {cls!r}")


# The same names for Python callers: the tests hold the twins against each other.
def python_track(candidate):
    track(candidate)


def python_is_shared(candidate):
    return is_shared(candidate)


def python_drop_attributes(candidate):
    drop_attributes(candidate)
