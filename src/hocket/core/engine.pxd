cimport cython

from hocket.core.future cimport Future
from hocket.core.scheduler cimport Scheduler
from hocket.core.task cimport Task


cdef class Engine(Scheduler):
    @cython.locals(future=Future)
    cpdef Future create_future(self)
    @cython.locals(task=Task)
    cdef Task _new_task(self, coro, name, context, bint eager)
