cdef bint is_deque(candidate) noexcept
cdef object append(queue, item)
cdef object popleft(queue)
cdef Py_ssize_t size(queue) noexcept
