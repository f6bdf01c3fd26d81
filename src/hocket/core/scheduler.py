"""The turn: what runs, in which order, and how long the loop may wait in between.

`Scheduler` is the half of an event loop that is hot.  `hocket.loop.EventLoop` puts it in front of
`asyncio.SelectorEventLoop`, whose code does everything else and calls `_run_once` for each turn.  It knows nothing of
tasks: to it they are `Runnable` like any other.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from hocket.core import asyncio_private, fork
from hocket.core.driver import Driver
from hocket.core.handles import ForeignHandle, Handle, ThreadSafeHandle, TimerHandle
from hocket.core.ready import Ready, Runnable
from hocket.core.timers import TimerHeap

#: Called with each loop that is made, and with each that closes, before its engine is cleared.
on_create: list[Callable[[Scheduler], object]] = []
on_close: list[Callable[[Scheduler], object]] = []

_loops: weakref.WeakSet[Any] = weakref.WeakSet()


def loops() -> list[Scheduler]:
    """Every loop of this process that has not been closed."""
    return [loop for loop in _all_loops() if not loop._closed]


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


@dataclass(frozen=True)
class LoopStatistics:
    """What one loop has done so far.  Times are in seconds; steps are timed while `Scheduler.measure_steps` is on."""

    turns: int
    steps: int
    callbacks: int
    tasks_started: int
    tasks_finished: int
    tasks_failed: int
    tasks_cancelled: int
    busy: float
    idle: float
    longest_step: float
    longest_step_task: str | None
    longest_step_where: str | None


def _clock_of(driver: Any) -> Callable[[], float]:
    # Not as a `Driver`: compiled, that would bind the method of the base class.
    time: Callable[[], float] = driver.time
    return time


class Scheduler:
    """Ready queue, timers, and the turn.  To be combined with `asyncio.SelectorEventLoop`, in front of it."""

    def __init__(self, driver: Driver) -> None:
        self._queue = Ready()
        self._timers = TimerHeap()
        self._driver = driver
        self._resolution = driver.resolution()
        self._time_source = _clock_of(driver)
        # By a subclass that defines time(), or by whoever sets it.
        self._time_replaced = type(self).time is not Scheduler.time
        self._longest_wait: float = asyncio_private.MAXIMUM_POLL_TIMEOUT
        # What other threads and signal handlers add.  A deque, because its append() cannot be interrupted half-way.
        self._inbox: deque[Runnable] = deque()
        self._woken = False
        # Who asked to run once more when the turn ends, before the loop waits again.
        self._turn_end: list[Runnable] = []
        self._live: list[Any] = []
        self._announced: Any = None
        self._current_tasks = asyncio_private.current_tasks
        self._closed = False
        # In the child of a fork, for a loop of the parent's: the parent's process number.  Then _closed holds too.
        self._owner = 0
        self._stopping = False
        self._debug = False
        self._thread_id: int | None = None
        self._current_handle: Any = None
        self._measuring = False
        self.turns = 0
        self.steps = 0
        self.callbacks = 0
        self.tasks_started = 0
        self.tasks_finished = 0
        self.tasks_failed = 0
        self.tasks_cancelled = 0
        self._busy = 0.0
        self._idle = 0.0
        self._longest_step = 0.0
        self._longest_step_task: str | None = None
        self._longest_step_where: str | None = None

    def _announce_creation(self) -> None:
        _loops.add(self)
        for listener in list(on_create):
            listener(self)

    # -- The turn

    def _run_once(self) -> None:
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
        if self._inbox:
            self._take_inbox()
        timeout = self._how_long()
        if self._measuring:
            self._poll_measured(timeout)
        else:
            driver.poll(timeout, queue)
        self._woken = False
        if self._inbox:
            self._take_inbox()
        first = self._timers.first()
        if first is not None:
            self._queue_due(self._now() + self._resolution)
        try:
            if self._debug or self._measuring:
                self._run_watched(queue._count)
            else:
                self._run_ready(queue._count)
        finally:
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
            item.run()

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
        inbox = self._inbox
        while inbox:
            self._queue.push(inbox.popleft())

    # -- Watching what runs: the debug mode and reports

    def measure_steps(self, enabled: bool) -> None:
        """Time every step and every wait from now on, for `statistics`.  Costs two looks at the clock a step."""
        self._measuring = enabled

    def statistics(self) -> LoopStatistics:
        """What this loop has done so far."""
        return LoopStatistics(
            self.turns,
            self.steps,
            self.callbacks,
            self.tasks_started,
            self.tasks_finished,
            self.tasks_failed,
            self.tasks_cancelled,
            self._busy,
            self._idle,
            self._longest_step,
            self._longest_step_task,
            self._longest_step_where,
        )

    def live(self) -> list[Any]:
        """The tasks of this loop that are not done."""
        return list(self._live)

    def _poll_measured(self, timeout: float) -> None:
        before = self._driver.time()
        try:
            self._driver.poll(timeout, self._queue)
        finally:
            self._idle += self._driver.time() - before

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
            self._current_handle = item if hasattr(item, "_source_traceback") else None
            before = driver.time()
            try:
                item.run()
            finally:
                self._current_handle = None
                self._note_step(item, driver.time() - before)

    def _note_step(self, item: Runnable, seconds: float) -> None:
        self._busy += seconds
        if self._measuring and seconds > self._longest_step:
            self._longest_step = seconds
            self._longest_step_task, self._longest_step_where = _describe(item)
        if self._debug and seconds >= self.slow_callback_duration:  # type: ignore[attr-defined]
            asyncio_private.base_events_logger().warning("Executing %s took %.3f seconds", _name(item), seconds)

    # -- Who runs: asyncio.current_task()

    def publish(self, task: Any) -> None:
        """Announce *task* as the one that runs.  It stays announced until another is, or nobody."""
        if self._announced is task:
            return
        self._announced = task
        if self._current_tasks is not None:
            self._current_tasks[self] = task
        else:
            asyncio_private.swap_current_task(self, task)

    def retract(self) -> None:
        """Announce that no task runs."""
        self._announced = None
        if self._current_tasks is not None:
            self._current_tasks.pop(self, None)
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
        if self._inbox:
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
        handle = ThreadSafeHandle(callback, args, self, context)
        self._add_callback_signalsafe(handle)
        return handle

    def _add_callback_signalsafe(self, handle: Any) -> None:
        self._inbox.append(_runnable(handle))
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
        for listener in list(on_close):
            listener(self)
        self._inbox.clear()
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
        held = (self._queue.snapshot(), self._turn_end, list(self._inbox), self._live)
        self._queue.clear()
        self._turn_end = []
        self._inbox.clear()
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


def _runnable(handle: Any) -> Runnable:
    return handle if isinstance(handle, Runnable) else ForeignHandle(handle)


def _name(item: Any) -> str:
    if isinstance(item, asyncio.Handle):
        return asyncio_private.format_handle(item)
    return repr(item)


def _describe(item: Any) -> tuple[str, str | None]:
    """The name of the task that *item* is, and the line at which it stands; of a callback, what it is."""
    if not item.publishes:
        return _name(item), None
    coroutine = item.get_coro()
    code = getattr(coroutine, "cr_code", None)
    # A task that has finished stands nowhere; then it is at least known whose code it was.
    where = None if code is None else f"{code.co_filename}:{code.co_firstlineno} in {code.co_qualname}"
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and not frame.f_globals.get("__name__", "").startswith(("asyncio.", "hocket.")):
            where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        coroutine = getattr(coroutine, "cr_await", None)
    return item.get_name(), where
