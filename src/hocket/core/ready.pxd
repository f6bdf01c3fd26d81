cimport cython


cdef class Runnable:
    cdef public bint publishes

    cdef run(self)


@cython.final
cdef class Ready:
    cdef list _slots
    cdef Py_ssize_t _mask
    cdef Py_ssize_t _head
    cdef Py_ssize_t _count

    cpdef push(self, Runnable item)
    cpdef Runnable pop(self)
    cpdef clear(self)
    cpdef list snapshot(self)
    @cython.locals(i=Py_ssize_t)
    cdef _grow(self)
