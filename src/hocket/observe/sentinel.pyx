"""Compiled twin of ``sentinel.py``: see there.

`run` holds no interpreter, and neither does anything that it calls: it goes on when nobody else can, and costs the
others nothing.  What it looks at of a loop are a few machine words; they are there as long as the loop is, which is held
while it is watched.  Everything else it reads as ``native/threads.py`` describes.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdio cimport snprintf
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from posix.unistd cimport write

from hocket.core.accounting cimport Accounting
from hocket.core.scheduler cimport Scheduler
from hocket.core.task cimport Task
from hocket.drivers.epoll cimport EpollDriver
from hocket.native.clock cimport monotonic
from hocket.native.measure cimport ticks
from hocket.native.running cimport this_thread
from hocket.native.threads cimport (
    Meter, Stack, Usage, close_meter, lock_holder, open_meter, peek, position, read_meter, read_stack, read_text,
    state_of, switch_interval, thread_of,
)
from hocket.observe.evidence cimport cause_of, rest_went_to

import gc

from hocket.native.measure import ticks_per_second
from hocket.observe.sighting import Evidence, Sighting

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_mutex_init(pthread_mutex_t *mutex, void *attributes)
    int pthread_mutex_lock(pthread_mutex_t *mutex)
    int pthread_mutex_unlock(pthread_mutex_t *mutex)
    int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
    int pthread_cond_broadcast(pthread_cond_t *condition)

cdef extern from *:
    """
    #include <poll.h>
    #include <pthread.h>
    #include <time.h>

    /* Whose waits go by a clock that nobody sets. */
    static void hocket_make_condition(pthread_cond_t *condition) {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(condition, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    static void hocket_wait_for(pthread_cond_t *condition, pthread_mutex_t *mutex, unsigned long long nanoseconds) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        nanoseconds += (unsigned long long)until.tv_nsec;
        until.tv_sec += (time_t)(nanoseconds / 1000000000u);
        until.tv_nsec = (long)(nanoseconds % 1000000000u);
        pthread_cond_timedwait(condition, mutex, &until);
    }
    static int hocket_can_write(int descriptor) {
        struct pollfd asked = {descriptor, POLLOUT, 0};
        return poll(&asked, 1, 0) == 1;
    }
    /* Whether what runs is seen as it is at one moment; else the step has just changed. */
    static int hocket_look(
        const volatile unsigned long long *stamp, const volatile int *stepping, unsigned long long *seen, int *runs
    ) {
        *seen = *stamp;
        *runs = *stepping;
        return *stamp == *seen;
    }
    static unsigned long long hocket_growth(unsigned long long now, unsigned long long before) {
        return now > before ? now - before : 0;
    }
    static int hocket_is_empty(PyObject *list) { return Py_SIZE(list) == 0; }
    static int hocket_is_one(PyObject *object) { return object != NULL && object != Py_None; }
    #define hocket_announced_at(loop) ((PyObject **)&(loop)->_announced)
    #define hocket_callback_at(loop) ((PyObject **)&(loop)->_callback)
    #define hocket_stepping_at(loop) ((int *)&(loop)->_stepping)
    #define hocket_name_at(task) ((size_t)((char *)&(task)->_name - (char *)(task)))
    #define hocket_number_at(task) ((size_t)((char *)&(task)->_number - (char *)(task)))
    """
    void hocket_make_condition(pthread_cond_t *condition)
    void hocket_wait_for(pthread_cond_t *condition, pthread_mutex_t *mutex, unsigned long long nanoseconds) nogil
    bint hocket_can_write(int descriptor) nogil
    bint hocket_look(unsigned long long *stamp, int *stepping, unsigned long long *seen, int *runs) nogil
    unsigned long long hocket_growth(unsigned long long now, unsigned long long before) nogil
    bint hocket_is_empty(PyObject *list) nogil
    bint hocket_is_one(PyObject *object) nogil
    PyObject **hocket_announced_at(Scheduler loop)
    PyObject **hocket_callback_at(Accounting loop)
    int *hocket_stepping_at(Accounting loop)
    size_t hocket_name_at(Task task)
    size_t hocket_number_at(Task task)

cdef enum:
    MOST = 64  # loops at a time

    IDLE = 0  # a watched loop: nothing lasts
    LOOKING = 1  # something runs
    TOLD = 2  # it has taken too long

    NOTHING = 0  # what a watched loop has to tell: nothing;
    BEGUN = 1  # of something that lasts;
    ENDED = 2  # of something that is over

cdef struct Found:
    unsigned long long serial
    bint outside
    bint told
    unsigned long long begun  # ticks
    unsigned long long ended
    unsigned long long task
    bint is_task
    char name[256]
    unsigned long holder
    Stack stack
    Stack holder_stack
    unsigned long long computing
    unsigned long long waiting
    unsigned long long collecting
    unsigned long long interpreter
    unsigned long long machine
    int moved
    int samples

cdef struct Watched:
    PyObject *loop
    void *state
    unsigned long thread
    Meter meter
    unsigned long long *stamp
    int *stepping
    int *polling  # NULL: not known
    PyObject **announced
    PyObject **callback
    unsigned long long collected  # ticks

    int phase
    unsigned long long stamped
    bint runs
    double looked
    unsigned long long collected_then
    size_t position
    Usage usage

    int news
    int heard  # 1: somebody has been told, 2: and has done what he wanted to
    unsigned long long noticed
    Found found

# Garbage is collected by one thread at a time.
cdef unsigned long long _collecting_since = 0
cdef unsigned long _collecting_thread = 0

cdef list _sentinels = []


def on_collection(phase, information):
    """For `gc.callbacks`."""
    global _collecting_since, _collecting_thread
    cdef Sentinel sentinel
    cdef unsigned long long took
    if phase == "start":
        _collecting_thread = this_thread()
        _collecting_since = ticks()
    elif _collecting_since:
        took = ticks() - _collecting_since
        _collecting_since = 0
        for sentinel in _sentinels:
            sentinel.note_collection(_collecting_thread, took)


cdef class Sentinel:
    cdef pthread_mutex_t _lock
    cdef pthread_cond_t _news
    cdef pthread_cond_t _halt
    cdef Watched *_watched[MOST]
    cdef int _count
    cdef bint _stopped
    cdef readonly double threshold
    cdef readonly double interval
    cdef int _output
    cdef double _rate
    cdef unsigned long long _limit
    cdef unsigned long long _serial
    cdef list _left
    cdef size_t _name_at
    cdef size_t _number_at
    cdef object __weakref__

    def __cinit__(self):
        pthread_mutex_init(&self._lock, NULL)
        hocket_make_condition(&self._news)
        hocket_make_condition(&self._halt)

    def __init__(self, double threshold, int output=2):
        cdef Task task = Task.__new__(Task)
        if not threshold > 0:
            raise ValueError(f"expected a threshold of more than 0 seconds, got {threshold!r}")
        self.threshold = threshold
        self.interval = min(max(threshold / 5, 0.001), 0.1)
        self._output = output
        self._rate = ticks_per_second()
        self._limit = <unsigned long long>(threshold * self._rate)
        self._left = []
        self._name_at = hocket_name_at(task)
        self._number_at = hocket_number_at(task)

    def __dealloc__(self):
        for index in range(self._count):
            close_meter(&self._watched[index].meter)
            Py_DECREF(<object>self._watched[index].loop)
            free(self._watched[index])

    # -- Whom to watch

    def watch(self, Scheduler loop not None, unsigned long thread):
        cdef void *state = state_of(thread)
        cdef Watched *watched
        cdef EpollDriver driver
        if state == NULL:
            raise LookupError(f"there is no thread {thread}")
        self.forget(loop)
        if self._count == MOST:
            raise RuntimeError(f"at most {MOST} loops can be watched at a time")
        watched = <Watched *>calloc(1, sizeof(Watched))
        if watched == NULL:
            raise MemoryError()
        watched.loop = <PyObject *>loop
        Py_INCREF(loop)
        watched.state = state
        watched.thread = thread
        watched.stamp = &loop._queue.now
        watched.stepping = hocket_stepping_at(loop)
        watched.announced = hocket_announced_at(loop)
        watched.callback = hocket_callback_at(loop)
        if isinstance(loop._driver, EpollDriver):
            driver = loop._driver
            watched.polling = &driver._poller._waiting
        open_meter(&watched.meter, state)
        pthread_mutex_lock(&self._lock)
        self._watched[self._count] = watched
        self._count += 1
        pthread_mutex_unlock(&self._lock)

    def forget(self, loop):
        cdef Watched *watched
        cdef int index
        pthread_mutex_lock(&self._lock)
        for index in range(self._count):
            watched = self._watched[index]
            if watched.loop == <PyObject *>loop:
                self._count -= 1
                self._watched[index] = self._watched[self._count]
                break
        else:
            watched = NULL
        if watched != NULL and watched.phase == TOLD:
            self._finish(watched, ticks())
        pthread_mutex_unlock(&self._lock)
        if watched == NULL:
            return
        if watched.news == ENDED:
            self._left.append(self._sighting(watched, ENDED))
            pthread_mutex_lock(&self._lock)
            pthread_cond_broadcast(&self._news)
            pthread_mutex_unlock(&self._lock)
        close_meter(&watched.meter)
        free(watched)
        Py_DECREF(loop)

    cdef note_collection(self, unsigned long thread, unsigned long long took):
        # Without the lock, which nobody may ever give back in the child of a fork.  Loops come and go only with the
        # interpreter, which we have.
        cdef int index
        for index in range(self._count):
            if self._watched[index].thread == thread:
                self._watched[index].collected += took

    # -- The sentinel's thread

    def run(self):
        cdef char text[2048]
        cdef int size
        cdef unsigned long long pause = <unsigned long long>(self.interval * 1e9)
        if on_collection not in gc.callbacks:
            gc.callbacks.append(on_collection)
        _sentinels.append(self)
        with nogil:
            pthread_mutex_lock(&self._lock)
            while not self._stopped:
                hocket_wait_for(&self._halt, &self._lock, pause)
                size = self._look_at_all(text, sizeof(text)) if not self._stopped else 0
                if size:
                    # Whoever reads may be slow, and others need the lock.
                    pthread_mutex_unlock(&self._lock)
                    if hocket_can_write(self._output):
                        write(self._output, text, size)
                    pthread_mutex_lock(&self._lock)
            pthread_mutex_unlock(&self._lock)
        _sentinels.remove(self)
        if not _sentinels and on_collection in gc.callbacks:
            gc.callbacks.remove(on_collection)

    def stop(self):
        pthread_mutex_lock(&self._lock)
        self._stopped = True
        pthread_cond_broadcast(&self._halt)
        pthread_cond_broadcast(&self._news)
        pthread_mutex_unlock(&self._lock)

    cdef int _look_at_all(self, char *text, int size) noexcept nogil:
        cdef int index, used = 0
        cdef Watched *watched
        for index in range(self._count):
            watched = self._watched[index]
            self._look(watched)
            if watched.news == BEGUN and not watched.found.told and not used and self._unheard(watched):
                watched.found.told = True
                used = self._write(watched, text, size)
        return used

    cdef void _look(self, Watched *watched) noexcept nogil:
        cdef unsigned long long stamp, now
        cdef int runs
        cdef bint same, lasts
        if not hocket_look(watched.stamp, watched.stepping, &stamp, &runs):
            runs = stamp = 0
        now = ticks()
        lasts = stamp != 0 and (runs or (watched.polling != NULL and not watched.polling[0]))
        same = lasts and watched.phase != IDLE and stamp == watched.stamped and runs == watched.runs
        if watched.phase != IDLE and not same:
            if watched.phase == TOLD:
                # A stamp that has changed was made when the step ended, or not long after.
                self._finish(watched, stamp if stamp > watched.stamped else now)
            watched.phase = IDLE
        if not lasts:
            return
        if watched.phase == IDLE:
            if watched.news == ENDED:
                # Nobody has asked yet how the last one ended.
                return
            watched.phase = LOOKING
            watched.stamped = stamp
            watched.runs = runs
            memset(&watched.found, 0, sizeof(Found))
            # Between two steps the loop may have been polling until now.
            watched.found.begun = stamp if runs else now
            watched.found.outside = not runs
            self._sample(watched, True)
            return
        self._sample(watched, False)
        if watched.phase == LOOKING and now - watched.found.begun >= self._limit:
            watched.phase = TOLD
            watched.news = BEGUN
            watched.heard = 0
            watched.noticed = now
            self._serial += 1
            watched.found.serial = self._serial
            self._capture(watched)
            pthread_cond_broadcast(&self._news)

    cdef void _sample(self, Watched *watched, bint first) noexcept nogil:
        """See where the time has gone since the last sample."""
        cdef Usage usage
        cdef double now = monotonic()
        cdef size_t where = position(watched.state)
        cdef unsigned long long collected = watched.collected
        cdef unsigned long long since = _collecting_since
        cdef unsigned long long whole, computing, collecting, machine, rest
        cdef void *holder
        cdef int kind
        if since and _collecting_thread == watched.thread and ticks() > since:
            collected += ticks() - since
        read_meter(&watched.meter, &usage)
        if not first:
            whole = <unsigned long long>((now - watched.looked) * 1e9)
            computing = min(hocket_growth(usage.cpu, watched.usage.cpu), whole)
            machine = min(hocket_growth(usage.delay, watched.usage.delay), whole - computing)
            rest = whole - computing - machine
            collecting = 0
            if collected > watched.collected_then:
                collecting = <unsigned long long>((collected - watched.collected_then) / self._rate * 1e9)
            collecting = min(collecting, computing)
            watched.found.collecting += collecting
            watched.found.computing += computing - collecting
            watched.found.machine += machine
            holder = lock_holder()
            kind = rest_went_to(
                rest, usage.state != c"R", hocket_growth(usage.slices, watched.usage.slices),
                holder != NULL and holder != watched.state, switch_interval(),
            )
            if kind == 4:  # MACHINE
                watched.found.machine += rest
            elif kind == 3:  # INTERPRETER
                watched.found.interpreter += rest
            else:
                watched.found.waiting += rest
            if computing > 1000000:
                watched.found.samples += 1
                watched.found.moved += where != watched.position
        watched.looked = now
        watched.position = where
        watched.collected_then = collected
        watched.usage = usage

    cdef void _capture(self, Watched *watched) noexcept nogil:
        """Note who runs, and where."""
        cdef void *holder = lock_holder()
        cdef char *task = NULL
        cdef void *name = NULL
        read_stack(watched.state, &watched.found.stack)
        if holder != NULL and holder != watched.state:
            watched.found.holder = thread_of(holder)
            read_stack(holder, &watched.found.holder_stack)
        if watched.found.outside or hocket_is_one(watched.callback[0]):
            return
        task = <char *>watched.announced[0]
        if not hocket_is_one(<PyObject *>task):
            return
        watched.found.is_task = True
        if not peek(&watched.found.task, task + self._number_at, sizeof(watched.found.task)):
            return
        if peek(&name, task + self._name_at, sizeof(name)):
            read_text(name, watched.found.name, sizeof(watched.found.name))
        if not watched.found.name[0]:
            snprintf(watched.found.name, sizeof(watched.found.name), "Task-%llu", watched.found.task)

    cdef void _finish(self, Watched *watched, unsigned long long ended) noexcept nogil:
        watched.found.ended = ended
        watched.news = ENDED
        pthread_cond_broadcast(&self._news)

    # -- What to do if nobody who needs the interpreter can be told

    cdef bint _unheard(self, Watched *watched) noexcept nogil:
        """Whether nobody has taken the news: nobody gets the interpreter; or could not do what he wanted to."""
        cdef double waited = (ticks() - watched.noticed) / self._rate
        # While nobody has the lock, who is to hear only waits for a processor.
        return watched.heard < 2 and waited > (0.05 if watched.heard == 0 and lock_holder() != NULL else 1.0)

    cdef int _write(self, Watched *watched, char *text, int size) noexcept nogil:
        cdef Found *found = &watched.found
        cdef const char *why
        cdef int used
        cdef int cause = cause_of(
            found.computing, found.waiting, found.collecting, found.interpreter, found.machine,
            found.moved, found.samples, <unsigned long long>(self.threshold * 1e9),
        )
        if cause == 0:
            why = b"Python code computes"
        elif cause == 1:
            why = b"a call does not return"
        elif cause == 2:
            why = b"the garbage collector is at work"
        elif cause == 3:
            why = b"another thread has the interpreter's lock"
        else:
            why = b"the machine has no processor for it"
        used = snprintf(
            text, size, "hocket: the event loop in thread %lu has %s for %.3f s %s %s%s%s: %s",
            watched.thread, b"not been able to go on" if cause == 4 else b"been blocked",
            (ticks() - found.begun) / self._rate, b"with" if cause == 4 else b"by",
            b"task '" if found.is_task else b"no task" if found.outside else b"a callback",
            found.name, b"'" if found.is_task else b"", why,
        )
        if not found.outside:
            used = self._write_spot(text, size, used, b"\n  at ", &found.stack)
        if cause == 3 and found.holder:
            if used < size:
                used += snprintf(text + used, size - used, "\n  thread %lu has the lock", found.holder)
            used = self._write_spot(text, size, used, b" at ", &found.holder_stack)
        if used > size - 2:
            used = size - 2
        text[used] = c"\n"
        return used + 1

    cdef int _write_spot(self, char *text, int size, int used, const char *before, Stack *stack) noexcept nogil:
        if used >= size or not stack.depth:
            return used
        return used + snprintf(
            text + used, size - used, "%s%s:%d in %s",
            before, stack.spots[0].file, stack.spots[0].line, stack.spots[0].function,
        )

    # -- The listener's thread

    def next(self):
        while True:
            if self._left:
                return self._left.pop(0)
            with nogil:
                pthread_mutex_lock(&self._lock)
                while not self._stopped and not self._has_news():
                    pthread_cond_wait(&self._news, &self._lock)
                pthread_mutex_unlock(&self._lock)
            if self._left:
                continue
            sighting = self._take()
            if sighting is not None:
                return sighting
            if self._stopped:
                return None

    cdef bint _has_news(self) noexcept nogil:
        cdef int index
        cdef Watched *watched
        for index in range(self._count):
            watched = self._watched[index]
            if watched.news == ENDED or watched.news == BEGUN and watched.heard == 0:
                return True
        return not hocket_is_empty(<PyObject *>self._left)

    cdef _take(self):
        cdef int index, news
        cdef Watched *watched
        cdef Watched copy
        for index in range(self._count):
            watched = self._watched[index]
            pthread_mutex_lock(&self._lock)
            news = watched.news
            if news == BEGUN and watched.heard:
                news = NOTHING
            if news != NOTHING:
                watched.heard = 1
                copy = watched[0]
                if news == ENDED:
                    watched.news = NOTHING
            pthread_mutex_unlock(&self._lock)
            if news != NOTHING:
                return self._sighting(&copy, news)
        return None

    def done(self, unsigned long long serial):
        cdef int index
        pthread_mutex_lock(&self._lock)
        for index in range(self._count):
            if self._watched[index].found.serial == serial and self._watched[index].news == BEGUN:
                self._watched[index].heard = 2
        pthread_mutex_unlock(&self._lock)

    cdef _sighting(self, Watched *watched, int news):
        cdef Found *found = &watched.found
        return Sighting(
            found.serial,
            <object>watched.loop,
            watched.thread,
            news == ENDED,
            found.outside,
            found.begun,
            found.ended if news == ENDED else 0,
            ((found.ended if news == ENDED else ticks()) - found.begun) / self._rate,
            found.is_task,
            found.task,
            found.name.decode("utf-8", "replace") if found.is_task else None,
            found.told,
            found.holder,
            _spots(&found.stack),
            _spots(&found.holder_stack),
            Evidence(
                found.computing, found.waiting, found.collecting, found.interpreter, found.machine,
                found.moved, found.samples, <unsigned long long>(self.threshold * 1e9),
            ),
        )


cdef _spots(Stack *stack):
    return [
        (
            stack.spots[index].file.decode("utf-8", "replace"),
            stack.spots[index].line,
            stack.spots[index].function.decode("utf-8", "replace"),
        )
        for index in range(stack.depth)
    ]
