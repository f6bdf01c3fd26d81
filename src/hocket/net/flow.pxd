from hocket.core.ready cimport Runnable


cdef class FlowControl(Runnable):
    cdef public object _loop
    cdef public object _protocol
    cdef Py_ssize_t _buffered
    cdef Py_ssize_t _high_water
    cdef Py_ssize_t _low_water
    cdef public bint _protocol_paused

    cdef _init_flow(self, loop)
    cdef _flush_now(self)
    cdef _maybe_pause_protocol(self)
    cdef _maybe_resume_protocol(self)
    cdef _tell_protocol(self, what)
