cimport cython

from hocket.core.task cimport Task
from hocket.core.wait cimport Line, Wait
from hocket.native.deques cimport append, is_deque, popleft, size
from hocket.native.operation cimport Operation
from hocket.native.step cimport is_coroutine
from hocket.structured.crew cimport Crew, Stream


cdef double _MOST_LATENESS
cdef object _NOTHING


cdef class Mapping(Crew):
    cdef object _fn
    cdef object _source
    cdef object _feeding
    cdef readonly Py_ssize_t _max_at_once
    cdef readonly Py_ssize_t _window
    cdef double _period
    cdef bint _ordered
    cdef readonly object _results
    cdef Line _consumers
    cdef object _feeder_task
    cdef Wait _feeder
    cdef object _timer
    cdef double _due
    cdef double _tolerance
    cdef bint _source_failed
    cdef readonly Py_ssize_t _running
    cdef readonly Py_ssize_t _in_flight
    cdef readonly unsigned long long _started
    cdef readonly unsigned long long _given
    cdef readonly Py_ssize_t _most_running

    cdef object _init_mapping(self, title, fn, source, feeding, tuple limits, bint ordered)
    cdef object _launch(self)
    cdef bint _has_room(self) except -1
    @cython.locals(now=double, latest=double)
    cdef bint _is_time(self) except -1
    cpdef object _timer_due(self)
    @cython.locals(feeder=Wait)
    cdef object _wake_feeder(self)
    cdef object _feed(self, Wait feed)
    cdef object _wait_for_room(self, Wait feed)
    cdef object _call(self, item)
    cdef object _append(self, result)
    cdef object _task_over(self, task)
    @cython.locals(ours=Task)
    cdef object _call_over(self, task)
    cdef object _all_ended(self)
    @cython.locals(wait=Wait)
    cdef bint _wake_consumer(self) except -1
    cdef object _abort(self)
    cdef object _failure(self, list errors)
    @cython.locals(ours=Task)
    cdef bint _offers(self) except -1
    cdef object _take(self)
    cdef object _next(self, Next wait)
    @cython.locals(wait=Wait)
    cdef object _waiting_task(self)


cdef class Feed(Wait):
    @cython.locals(mapping=Mapping)
    cdef object _begin(self)
    @cython.locals(mapping=Mapping)
    cdef object _resume(self)
    @cython.locals(mapping=Mapping)
    cdef object _interrupt(self, error)


cdef class Room(Wait):
    @cython.locals(mapping=Mapping)
    cdef object _begin(self)
    cdef object _resume(self)
    @cython.locals(mapping=Mapping)
    cdef object _interrupt(self, error)


cdef class Next(Wait):
    @cython.locals(mapping=Mapping)
    cdef object _begin(self)
    @cython.locals(mapping=Mapping)
    cdef object _resume(self)
    @cython.locals(mapping=Mapping)
    cdef object _interrupt(self, error)
    @cython.locals(mapping=Mapping)
    cdef object _end(self)


cdef class AsyncMap(Stream):
    pass


@cython.locals(mapping=Mapping)
cpdef AsyncMap new_async_map(title, fn, source, feeding, tuple limits, bint ordered)
cdef object _as_coroutine(made, title)
cdef bint _is_done(Task task) noexcept
cdef object _result(Task task)
@cython.locals(operation=Feed)
cdef Feed _feeding(Mapping mapping)
@cython.locals(operation=Room)
cdef Room _room(Mapping mapping)
@cython.locals(operation=Next)
cdef Next _nexting(AsyncMap stream)
@cython.locals(stream=AsyncMap)
cdef Mapping _mapping_of(Next wait)
