cimport cython

from hocket.core.engine cimport Engine
from hocket.core.wait cimport Line, Wait
from hocket.primitives.bound cimport LoopBound, running


cdef class Policy(LoopBound):
    cdef public object name
    cdef public list _listeners
    cdef public dict _blocks

    cpdef object _tell(self, what, double now, error=*, seconds=*, number=*)
    cdef object _stand_in(self, Line line, Wait wait)


cdef class Guard(Policy):
    cdef object _admit(self, double now)
    cdef object _admitted(self, Wait wait, double now)
    cdef object _leave(self, note, double now, error)


@cython.final
cdef class Guards:
    cdef readonly tuple _guards

    cpdef Passage enter(self)


@cython.final
cdef class Passage:
    cdef tuple _guards
    cdef list _notes
    cdef Py_ssize_t _passed
    cdef readonly object waits

    @cython.locals(guard=Guard, wait=Wait, now=double)
    cpdef object go_on(self)
    cpdef object leave(self)
    cpdef object fail(self, error)
    @cython.locals(guards=tuple, guard=Guard)
    cdef object _advance(self, double now)
    @cython.locals(guard=Guard)
    cdef object _unwind(self, error, double now)


@cython.locals(passage=Passage)
cdef Passage enter(Guards guards)
@cython.locals(engine=Engine)
cpdef double now_here() except? -2
