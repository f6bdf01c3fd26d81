cdef int give_way() except -1
