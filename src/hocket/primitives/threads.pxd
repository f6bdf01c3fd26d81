cimport cython

from hocket.core.engine cimport Engine
from hocket.core.ready cimport Runnable
from hocket.core.wait cimport Wait
from hocket.native.step cimport copy_context
from hocket.primitives.bound cimport running


cdef class Call(Wait):
    cdef object _begin(self)
    @cython.locals(completion=Completion)
    cdef object _attend(self, Engine engine, source)
    cdef object _resume(self)
    cdef object _interrupt(self, error)


cdef class Joined(Call):
    cdef object _begin(self)


cdef class Held(Joined):
    cdef object _interrupt(self, error)


cdef class Completion(Runnable):
    cdef Wait _call
    cdef Engine _engine

    @cython.locals(call=Wait)
    cdef run(self)


@cython.locals(operation=Call)
cdef Call _calling(func, tuple args, dict kwargs)

@cython.locals(operation=Joined)
cpdef joined(source)
@cython.locals(operation=Held)
cpdef held(source)
