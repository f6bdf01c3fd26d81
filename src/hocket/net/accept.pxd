from hocket.native.sockets cimport accept
from hocket.native.step cimport call, copy_context


from hocket.net.stream cimport accepted_transport

cpdef accept_from(sock)
cdef bint _never_waits(sock) except -1
cdef tuple _kind_of(sock)
