from hocket.core.scheduler cimport Scheduler


cdef class Engine(Scheduler):
    pass
