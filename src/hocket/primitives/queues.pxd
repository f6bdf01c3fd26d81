cimport cython

from hocket.core.wait cimport Line, Wait
from hocket.native.deques cimport append, is_deque, popleft, size
from hocket.primitives.bound cimport LoopBound
from hocket.primitives.locks cimport Event


cdef class Queue(LoopBound):
    cdef public object _maxsize
    cdef double _limit
    cdef public Line _getters
    cdef public Line _putters
    cdef public Py_ssize_t _unfinished_tasks
    cdef public Event _finished
    cdef public bint _is_shutdown
    cdef bint _exact
    cdef public object _queue
    cdef readonly Py_ssize_t _most

    cdef object _bring(self, item)
    cdef object _take(self)
    cdef bint _is_full(self) except -1
    cdef bint _is_empty(self) except -1
    @cython.locals(held=Py_ssize_t)
    cdef void _note_size(self) noexcept
    cdef object _put_exact(self, item)
    cdef object _get_exact(self)
    @cython.locals(wait=Wait)
    cdef object _wakeup_next(self, Line line)


cdef class PriorityQueue(Queue):
    pass


cdef class LifoQueue(Queue):
    pass


cdef class Get(Wait):
    @cython.locals(queue=Queue)
    cdef object _begin(self)
    cdef object _resume(self)
    @cython.locals(queue=Queue)
    cdef object _interrupt(self, error)


cdef class Put(Wait):
    @cython.locals(queue=Queue)
    cdef object _begin(self)
    cdef object _resume(self)
    @cython.locals(queue=Queue)
    cdef object _interrupt(self, error)


cdef class Join(Wait):
    @cython.locals(queue=Queue, finished=Event)
    cdef object _begin(self)
    @cython.locals(queue=Queue)
    cdef object _resume(self)
    @cython.locals(queue=Queue)
    cdef object _interrupt(self, error)


@cython.locals(operation=Get)
cdef Get _getting(Queue queue)
@cython.locals(operation=Put)
cdef Put _putting(Queue queue, item)
@cython.locals(operation=Join)
cdef Join _joining(Queue queue)
