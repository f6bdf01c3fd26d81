from hocket.native.sockets cimport accept
from hocket.native.step cimport call, copy_context


cpdef accept_from(sock)
