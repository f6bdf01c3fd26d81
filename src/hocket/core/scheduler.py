"""The turn: what runs, in which order, and how long the loop may wait in between.

`Scheduler` is the half of an event loop that is hot.  `hocket.loop.EventLoop` puts it in front of
`asyncio.SelectorEventLoop`, whose code does everything else and calls `_run_once` for each turn.  It knows nothing of
tasks: to it they are `Runnable` like any other.
"""

from __future__ import annotations

import asyncio
import itertools
import operator
import threading
import weakref
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from hocket.core import asyncio_private, fork
from hocket.core.accounting import Accounting, name_of
from hocket.core.driver import Driver
from hocket.core.handles import ForeignHandle, Handle, ThreadSafeHandle, TimerHandle
from hocket.core.listeners import Listeners
from hocket.core.ready import Ready, Runnable
from hocket.core.timers import TimerHeap
from hocket.native.measure import ticks_per_second

if TYPE_CHECKING:
    from hocket.core.statistics import LoopState

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.freelist import is_shared, track
    from hocket.native.interpreter import give_way
    from hocket.native.measure import ticks
    from hocket.native.running import announce, this_thread
    from hocket.native.step import copy_context, is_current

#: Called with each loop that is made, and with each that closes, before its engine is cleared.
on_create = Listeners()
on_close = Listeners()
#: Called with the loop and the context of each call of a loop's `call_exception_handler`, before that.
on_exception = Listeners()
#: Called with each loop that begins to run, and with each that has stopped, in the thread in which it runs.
on_run = Listeners()
on_stop = Listeners()

_loops: weakref.WeakSet[Any] = weakref.WeakSet()
_numbers = itertools.count(1)


def loops() -> list[Scheduler]:
    """Every loop of this process that has not been closed, in the order in which they were made."""
    return sorted((loop for loop in _all_loops() if not loop._closed), key=operator.attrgetter("_number"))


fork.watch(loops)


def live_tasks() -> list[Any]:
    """Every task of every loop that is not done."""
    return [task for loop in _all_loops() for task in loop.live()]


def _all_loops() -> list[Any]:
    while True:
        try:
            return list(_loops)
        except RuntimeError:
            # Another thread has made a loop in the middle of it.
            continue


# The loop that has begun to run last, and the thread in which it runs.
_latest: Any = None
_latest_thread = 0


def note_running(loop: Any) -> None:
    """Note that *loop* begins to run in this thread."""
    global _latest, _latest_thread
    _latest = loop
    _latest_thread = this_thread()
    on_run.tell(loop)


def note_stopped(loop: Any) -> None:
    """Note that *loop* does not run any more."""
    global _latest
    if _latest is loop:
        _latest = None
    on_stop.tell(loop)


def running_here() -> Any:
    """The loop that runs in this thread, or None.

    Most of the time that is the one which began last; asyncio's own answer costs a system call on Python 3.11.
    """
    loop = _latest
    if loop is not None and _latest_thread == this_thread():
        return loop
    return asyncio_private.running_loop()


def running_task() -> Any:
    """The task that a loop of ours runs in this thread, or None."""
    loop = _latest
    if loop is not None and _latest_thread == this_thread():
        return loop._announced
    # Another thread has a loop that began later, or had one.
    here = asyncio_private.running_loop()
    if isinstance(here, Scheduler):
        loop = here
        return loop._announced
    return None


#: While something is ready and no descriptor is watched, the driver is asked after so many steps.
_STEPS_WITHOUT_ASKING = 32
#: After so many turns, and one, other threads and signal handlers get a chance in any case: a power of two, less one.
_TURNS_WITHOUT_GIVING_WAY = 31


def _clock_of(driver: Any) -> Callable[[], float]:
    # Not as a `Driver`: compiled, that would bind the method of the base class.
    time: Callable[[], float] = driver.time
    return time


class Scheduler(Accounting):
    """Ready queue, timers, and the turn.  To be combined with `asyncio.SelectorEventLoop`, in front of it."""

    def __init__(self, driver: Driver) -> None:
        Accounting.__init__(self)
        self._timers = TimerHeap()
        self._driver = driver
        self._resolution = driver.resolution()
        self._time_source = _clock_of(driver)
        # By a subclass that defines time(), or by whoever sets it.
        self._time_replaced = type(self).time is not Scheduler.time
        # By a subclass: then timers of our own making must go that way, too.
        self._timers_replaced = (
            type(self).call_at is not Scheduler.call_at or type(self).call_later is not Scheduler.call_later
        )
        self._longest_wait: float = asyncio_private.MAXIMUM_POLL_TIMEOUT
        # What other threads and signal handlers add.  To append and to delete what was taken cannot be interrupted.
        self._inbox: list[Runnable] = []
        # Whether it may hold something.
        self._posted = False
        # What those in the inbox copied of the context in which they were added last; nobody enters it meanwhile.
        self._shared_context: Context | None = None
        self._taking = False
        self._woken = False
        # Whether `_run_once` is to go on until the loop is stopped.
        self._runs_on = False
        # How many steps have been taken since the driver was asked.
        self._unasked = 0
        # What is watched for the loop's own ends.
        self._own_descriptors = 0
        # Who asked to run once more when the turn ends, before the loop waits again.
        self._turn_end: list[Runnable] = []
        self._live: list[Any] = []
        self._announced: Any = None
        # The scope in which a task that begins at once does so, while a task group makes it.
        self._adopting: Any = None
        self._current_tasks = asyncio_private.current_tasks
        self._announces_natively = asyncio_private.announces_natively
        self._closed = False
        # In the child of a fork, for a loop of the parent's: the parent's process number.  Then _closed holds too.
        self._owner = 0
        self._stopping = False
        self._debug = False
        # Whether it waits for the driver.
        self._waiting = False
        self._thread_id: int | None = None
        self._current_handle: Any = None
        # How many there were when the collector was told of all that had not ended.
        self._tracked_at = 0

    def _announce_creation(self) -> None:
        self._number = next(_numbers)
        _loops.add(self)
        on_create.tell(self)

    # -- The turn

    def _run_once(self) -> None:
        """One turn, for asyncio's code and others who drive the loop by hand; in `run_forever` all of them."""
        if not self._runs_on:
            self._turn()
            return
        # Who turns the loop from inside of a callback gets one turn.
        self._runs_on = False
        while True:
            self._turn()
            if self._stopping:
                break
            if self.turns & _TURNS_WITHOUT_GIVING_WAY == 0:
                # Only Python code does so, and perhaps none has run.
                give_way()

    def run_on(self) -> None:
        """Have the next `_run_once` go on until the loop is stopped; unless somebody has put another in its place."""
        self._runs_on = type(self)._run_once is Scheduler._run_once and "_run_once" not in vars(self)

    def run_no_more(self) -> None:
        """The counterpart of `run_on`: what waits may have to wait for ever, and can become garbage."""
        self._runs_on = False
        self._waiting = False  # Interrupted, by Ctrl-C for one.
        for item in self._queue.snapshot() + list(self._inbox):
            track(item)
        self._timers.track_all()
        if self._tracked_at != self.tasks_started:
            self._tracked_at = self.tasks_started
            for task in self._live:
                track(task)

    def _turn(self) -> None:
        """One turn: work out how long to wait, ask the driver, queue what became ready, queue the timers that are due,
        and run what is ready by now.  What that makes ready waits for the next turn.

        The five steps go round; a turn begins with the wait because `asyncio.loop.stop` before `run_forever` is to poll
        once and run what it finds.
        """
        if self._closed:
            # The process has forked in the last turn, and this is the child.
            self._check_closed()
        queue = self._queue
        driver = self._driver
        self.turns += 1
        if self._posted:
            self._take_inbox()
        if (
            queue._count
            and self._unasked < _STEPS_WITHOUT_ASKING
            and not self._stopping
            and driver.watched <= self._own_descriptors
        ):
            # All that the kernel could tell is that somebody woke the loop, for the inbox, or that there was a signal.
            self._unasked += queue._count
            before = 0
        else:
            self._unasked = queue._count
            timeout = self._how_long()
            queue.stamp()
            before = queue.now
            self._waiting = timeout != 0.0
            driver.poll(timeout, queue)
            if self._waiting:
                self._waiting = False
                self._note_wait(before)
            self._woken = False
            if self._posted:
                self._take_inbox()
        if self._timers.pending():
            self._queue_due(self._now() + self._resolution)
        if queue.ring is not None:
            self._record_turn(before)
        try:
            if self._debug:
                self._run_watched(queue._count)
            else:
                self._run_ready(queue._count)
        finally:
            if self._stepping:
                # Interrupted, by Ctrl-C for one.
                item = self._callback if self._callback is not None else self._announced
                if item is not None:
                    self._account(item)
                self._stepping = False
            if self._announced is not None:
                self.retract()
        if self._turn_end:
            self._end_turn()

    def _how_long(self) -> float:
        if self._queue._count or self._stopping or self._turn_end:
            return 0.0
        first = self._timers.first()
        if first is None:
            return -1.0
        timeout = first._due - self._now()
        if timeout <= 0.0:
            return 0.0
        # Some kernels refuse to wait for years, and a timer at infinity is allowed.
        return timeout if timeout < self._longest_wait else self._longest_wait

    def _queue_due(self, until: float) -> None:
        timers = self._timers
        first = timers.first()
        while first is not None and first._due < until:
            self.lags.add(nanoseconds(until - first._due))
            self._queue.push(timers.pop())
            first = timers.first()

    def _run_ready(self, count: int) -> None:
        queue = self._queue
        while count > 0 and queue._count:
            count -= 1
            item = queue.pop()
            if item.publishes:
                self.steps += 1
            else:
                self.callbacks += 1
                if self._announced is not None:
                    self.retract()
                if is_shared(item):
                    track(item)
                self._callback = item
            self._since = item.since
            self._stepping = True
            item.run()
            self._account(item)
        if not cython.compiled:
            # A traceback that somebody keeps may reach this frame, which would hold what has run last.
            item = None  # type: ignore[assignment]

    def _end_turn(self) -> None:
        # Whoever asks while this goes on is served in the next turn: nobody can keep the loop from polling.
        waiting = self._turn_end
        self._turn_end = []
        begun = 0
        try:
            for item in waiting:
                begun += 1
                item.run()
        finally:
            if begun < len(waiting):
                # Interrupted, by Ctrl-C for one: the others keep their place.
                self._turn_end = waiting[begun:] + self._turn_end

    def at_turn_end(self, item: Runnable) -> None:
        """Run *item* when this turn ends, before the loop waits.  For the loop's own thread."""
        if self._closed:
            self._check_closed()
        self._turn_end.append(item)

    def _take_inbox(self) -> None:
        if self._taking:
            # The collector has run somebody's code in the middle of it.
            return
        self._taking = True
        try:
            self._posted = False
            self._queue.pour(self._inbox)
            self._shared_context = None
        finally:
            self._taking = False

    # -- Watching what runs: the debug mode and reports

    def state(self) -> LoopState:
        """What this loop has before it at this moment.  For any thread."""
        from hocket.core.statistics import LoopState

        return LoopState(
            self._thread_id,
            len(self._queue) + len(self._inbox),
            len(self._live),
            len(self._timers),
            max(self._driver.watched - self._own_descriptors, 0),
            *self.running(),
            self.waiting(),
        )

    def running(self) -> tuple[Any, float]:
        """The task or the handle that runs at this moment, and for how many seconds; (None, 0.0): none does.

        For any thread.
        """
        item = self._callback if self._callback is not None else self._announced
        if not self._stepping or item is None:
            return None, 0.0
        return item, (ticks() - self._queue.now) / ticks_per_second()

    def waiting(self) -> float:
        """For how many seconds it has been waiting for the driver; 0.0: it does not.  For any thread."""
        if not self._waiting or self._thread_id is None:
            return 0.0
        return (ticks() - self._queue.now) / ticks_per_second()

    def live(self) -> list[Any]:
        """The tasks of this loop that are not done."""
        return list(self._live)

    def upcoming(self) -> list[Any]:
        """What is to run in this turn and the next, without timers and descriptors.  For any thread."""
        return [*self._queue.snapshot(), *list(self._inbox), *list(self._turn_end)]

    def _run_watched(self, count: int) -> None:
        queue = self._queue
        driver = self._driver
        while count > 0 and queue._count:
            count -= 1
            item = queue.pop()
            if item.publishes:
                self.steps += 1
            else:
                self.callbacks += 1
                if self._announced is not None:
                    self.retract()
                self._callback = item
            track(item)
            self._since = item.since
            self._stepping = True
            self._current_handle = item if hasattr(item, "_source_traceback") else None
            before = driver.time()
            try:
                item.run()
            finally:
                self._current_handle = None
                self._account(item)
                self._note_slow(item, driver.time() - before)

    def _note_slow(self, item: Runnable, seconds: float) -> None:
        if seconds >= self.slow_callback_duration:  # type: ignore[attr-defined]
            asyncio_private.base_events_logger().warning("Executing %s took %.3f seconds", name_of(item), seconds)

    # -- Who runs: asyncio.current_task()

    def publish(self, task: Any) -> None:
        """Announce *task* as the one that runs.  It stays announced until another is, or nobody."""
        if self._announced is task:
            return
        self._announced = task
        if self._current_tasks is not None:
            self._current_tasks[self] = task
        elif self._announces_natively:
            announce(task)
        else:
            asyncio_private.swap_current_task(self, task)

    def retract(self) -> None:
        """Announce that no task runs."""
        self._announced = None
        if self._current_tasks is not None:
            self._current_tasks.pop(self, None)
        elif self._announces_natively:
            announce(None)
        else:
            asyncio_private.swap_current_task(self, None)

    # -- asyncio's methods, ours because they are hot

    @property
    def time(self) -> Callable[[], float]:
        """``time()``: the loop's time in seconds, from an arbitrary start; what `call_at` compares with.

        As with asyncio, a subclass or a test that puts another clock in its place decides which timers are due; the
        driver still waits by its own.
        """
        return self._time_source

    @time.setter
    def time(self, clock: Callable[[], float]) -> None:
        self._time_source = clock
        self._time_replaced = True

    @time.deleter
    def time(self) -> None:
        self._time_source = _clock_of(self._driver)
        self._time_replaced = False

    def _now(self) -> float:
        return self.time() if self._time_replaced else self._driver.time()

    def get_debug(self) -> bool:
        """True in asyncio's debug mode."""
        return self._debug

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Handle:
        """Call *callback* in the next turn, after everything that is ready already.  As `asyncio.loop.call_soon`.

        Raises `RuntimeError` if the loop is closed and, in debug mode, if called from another thread.
        """
        if self._debug:
            self._check_thread()
            self._check_callback(callback, "call_soon")
        return self.enqueue(callback, args, context)

    def enqueue(self, callback: Any, args: tuple[Any, ...], context: Context | None) -> Handle:
        """`call_soon` for the engine itself, without the debug mode's checks of the callback."""
        if self._closed:
            self._check_closed()
        handle = Handle.__new__(Handle)
        handle._init_handle(callback, args, self, context, self._debug)
        if self._thread_id is None:
            track(handle)
        if self._posted:
            # What another thread added before this call runs before it.
            self._take_inbox()
        self._queue.push(handle)
        return handle

    def _call_soon(self, callback: Any, args: tuple[Any, ...], context: Context | None) -> Handle:
        return self.enqueue(callback, args, context)

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        """`call_soon` from any thread, and from signal handlers.  Wakes the loop.

        Raises `RuntimeError` if the loop is closed.
        """
        if self._closed:
            self._check_closed()
        if self._debug:
            self._check_callback(callback, "call_soon_threadsafe")
        return self._enqueue_threadsafe(callback, args, context)

    def _enqueue_threadsafe(self, callback: Any, args: tuple[Any, ...], context: Context | None) -> ThreadSafeHandle:
        handle = ThreadSafeHandle.__new__(ThreadSafeHandle)
        shared = context is None and cython.compiled
        if shared:
            # Many in a row share one copy until they run: to hold thousands would cost more than all else.
            context = self._shared_context
            if context is None or not is_current(context):
                context = self._shared_context = copy_context()
        handle._init_threadsafe(callback, args, self, context, self._debug, shared)
        if self._thread_id is None:
            track(handle)
        self._add_to_inbox(handle)
        return handle

    def _add_callback_signalsafe(self, handle: Any) -> None:
        # What reads the signals calls it, in the loop's own thread: before what the timers of this turn wake.
        if self._posted:
            self._take_inbox()
        self._add_callback(handle)
        self._wake_up()

    def _add_to_inbox(self, item: Runnable) -> None:
        item.since = ticks()
        self._inbox.append(item)
        self._posted = True
        self._wake_up()

    def _wake_up(self) -> None:
        # The loop lowers the flag before it looks into the inbox, so one wake-up serves all that is added before that.
        if not self._woken:
            self._woken = True
            self._driver.wake()

    def _add_callback(self, handle: Any) -> None:
        if not handle.cancelled():
            self._queue.push(_runnable(handle))

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        """Call *callback* in *delay* seconds.  As `asyncio.loop.call_later`.

        Timers of one instant run in the order in which they were set.  Raises `TypeError` if *delay* is None and
        `ValueError` if it is not a number.
        """
        if delay is None:
            raise TypeError("delay must not be None")
        return self._call_at(self._now() + delay, callback, args, context, "call_later")

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        """Call *callback* at *when*, by the clock that `time` reads.  As `asyncio.loop.call_at`."""
        if when is None:
            raise TypeError("when cannot be None")
        timer = self._call_at(when, callback, args, context, "call_at")
        timer._whole = type(when) is int
        return timer

    def _call_at(
        self, when: float, callback: Any, args: tuple[Any, ...], context: Context | None, by: str
    ) -> TimerHandle:
        if self._closed:
            self._check_closed()
        if self._debug:
            self._check_thread()
            self._check_callback(callback, "call_at")
        when = when + 0.0  # What is not a number is refused here, compiled or not.
        if when != when:
            raise ValueError(f"{by}() expected a time in seconds, got nan")
        timer = TimerHandle.__new__(TimerHandle)
        timer._init_timer(when, callback, args, self, context, self._debug)
        self._timers.push(timer)
        return timer

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """asyncio's own timers tell their loop; ours have left the heap by themselves."""

    # -- Checks

    def _check_closed(self) -> None:
        if self._owner:
            raise RuntimeError(fork.refusal(self._owner))
        if self._closed:
            raise RuntimeError("Event loop is closed")

    def _check_thread(self) -> None:
        if self._thread_id is not None and threading.get_ident() != self._thread_id:
            raise RuntimeError("Non-thread-safe operation invoked on an event loop other than the current one")

    def _check_callback(self, callback: object, method: str) -> None:
        if asyncio.iscoroutine(callback) or asyncio_private.iscoroutinefunction(callback):
            raise TypeError(f"coroutines cannot be used with {method}()")
        if not callable(callback):
            raise TypeError(f"a callable object was expected by {method}(), got {callback!r}")

    # -- The end

    def _close_engine(self) -> None:
        on_close.tell(self)
        self._inbox.clear()
        self._shared_context = None
        self._turn_end = []
        self._live = []
        self._driver.close()

    def disown(self, owner: int) -> Any:
        """In the child of a fork: stop being a loop, now that *owner* is the process that it belongs to.

        Returns what it held, which must not be destroyed in the child.
        """
        self._owner = owner
        self._closed = True
        self._thread_id = None
        self._announced = None
        note_stopped(self)
        held = (self._queue.snapshot(), self._turn_end, list(self._inbox), self._live, self._shared_context)
        self._queue.clear()
        self._turn_end = []
        self._inbox.clear()
        self._shared_context = None
        self._live = []
        self._driver.disown(owner)
        return held

    # asyncio's base class makes queues of its own and clears them when it closes.  Ours are in place already.

    @property
    def _ready(self) -> Ready:
        return self._queue

    @_ready.setter
    def _ready(self, value: object) -> None:
        pass

    @property
    def _scheduled(self) -> TimerHeap:
        return self._timers

    @_scheduled.setter
    def _scheduled(self, value: object) -> None:
        pass


def nanoseconds(seconds: float) -> int:
    """As many as a counter holds: a timer may be set for infinity."""
    return int(min(max(seconds, 0.0), 1e9) * 1e9)


def _runnable(handle: Any) -> Runnable:
    return handle if isinstance(handle, Runnable) else ForeignHandle(handle)
