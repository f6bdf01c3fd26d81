from hocket.native.sockets cimport ReadBuffer
from hocket.native.step cimport enter, leave


cdef class Layer:
    cdef received(self, ReadBuffer buffer, Py_ssize_t count)


cdef inline hand_over(Layer layer, ReadBuffer buffer, Py_ssize_t count, context):
    enter(context)
    try:
        layer.received(buffer, count)
    finally:
        leave(context)
