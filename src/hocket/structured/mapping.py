"""The engine of `hocket.amap`: calls of one function, so many at once, and their results on the way to who iterates.

Every call is a task of its own that starts at once, inside of the step of the *feeder*, the task that takes one item
after another from the source while there is room.  A call that never waits is over when it has been started, and the
loop has no work with it.  ``_in_flight`` counts the items that have been started and not yet given: it never exceeds
the window, so that neither a slow consumer nor, when results are to come in order, one slow call lets results pile up.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import deque
from typing import TYPE_CHECKING, Any

from hocket.core.task import Task
from hocket.core.wait import Line, Wait
from hocket.structured.crew import Crew, Stream

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.deques import append, is_deque, popleft, size
    from hocket.native.operation import Operation
    from hocket.native.step import is_coroutine

if TYPE_CHECKING:
    from hocket.structured.statistics import MappingStatistics

#: Starts that are late because the loop was busy are made up for, as far as it is by no more than so many seconds.
MOST_LATENESS = _MOST_LATENESS = 0.01
_NOTHING = object()


class Mapping(Crew):
    """The calls of one `amap`.

    ``_results`` holds, as long as they have not been given, the results in the order in which they came; if they are to
    come in the order of the items, all tasks that have been started, in that order.
    """

    def _init_mapping(
        self, title: str, fn: Any, source: Any, feeding: Any, limits: tuple[int, int, float], ordered: bool
    ) -> None:
        self._init_crew(title)
        self._fn = fn
        # An iterator; None: a coroutine function feeds from what is no plain iterator.
        self._source = source
        self._feeding = feeding
        self._max_at_once, self._window, max_per_second = limits
        self._period = 1.0 / max_per_second
        self._ordered = ordered
        self._results: Any = deque()
        self._consumers = Line()
        self._feeder_task: Any = None
        # The feeder, while it waits for room or for its time.
        self._feeder: Wait | None = None
        self._timer: Any = None
        self._due = -math.inf
        self._tolerance = 0.0
        self._source_failed = False
        self._running = 0
        self._in_flight = 0
        self._started = 0
        self._given = 0
        self._most_running = 0

    # -- The feeder

    def _launch(self) -> None:
        self._tolerance = getattr(self._loop, "_clock_resolution", 0.0)
        feeding = _feeding(self) if self._source is not None else self._feeding(self)
        self._feeder_task = self._new(feeding, f"feeder of {self._title}", False)
        self._adopt(self._feeder_task)

    def _has_room(self) -> bool:
        return self._running < self._max_at_once and self._in_flight < self._window and not self._ending

    def _is_time(self) -> bool:
        """True if the rate allows one more now, which is then counted; else a timer is set for that."""
        if self._period <= 0.0:
            return True
        loop: Any = self._loop
        now: float = loop.time()
        if now + self._tolerance < self._due:
            if self._timer is None:
                self._timer = loop.call_at(self._due, self._timer_due)
            return False
        latest = now - _MOST_LATENESS
        self._due = (self._due if self._due > latest else latest if self._started else now) + self._period
        return True

    def _timer_due(self) -> None:
        self._timer = None
        self._wake_feeder()

    def _wake_feeder(self) -> None:
        feeder = self._feeder
        if feeder is not None:
            self._feeder = None
            if not feeder._is_done():
                feeder._wake()

    def _feed(self, feed: Wait) -> Any:
        """Take items and start them as long as there is room."""
        while self._has_room() and self._is_time():
            item = next(self._source, _NOTHING)
            if item is _NOTHING:
                return None
            self._call(item)
        return self._wait_for_room(feed)

    def _wait_for_room(self, feed: Wait) -> Any:
        self._feeder = feed
        return feed._suspend(self._loop)

    def start_with(self, item: Any) -> None:
        """Call the function with *item*; for a feeder that has waited for `room`."""
        self._call(item)

    def room(self) -> Wait:
        """``await mapping.room()`` waits until one more may be started."""
        return _room(self)

    # -- Calls

    def _call(self, item: Any) -> None:
        if self._ending:
            # The source has swallowed the cancellation: it is told once more.
            raise asyncio.CancelledError
        try:
            made = self._fn(item)
            if not is_coroutine(made) and not isinstance(made, Operation):
                made = _as_coroutine(made, self._title)
        except Exception as error:
            self._fail(error)
            return
        self._started += 1
        self._in_flight += 1
        task = self._new(made, None, True)
        if self._ordered:
            self._append(task)
        if task.done() if type(task) is not Task else _is_done(task):
            self._call_over(task)
            return
        self._running += 1
        if self._running > self._most_running:
            self._most_running = self._running
        self._adopt(task)

    def _append(self, result: Any) -> None:
        if is_deque(self._results):
            append(self._results, result)
        else:
            self._results.append(result)

    def _task_over(self, task: Any) -> None:
        if task is self._feeder_task:
            self._feeder_task = None
            error = self._error_of(task)
            if error is not None:
                self._source_failed = not self._errors
                self._fail(error)
            return
        self._running -= 1
        self._call_over(task)
        if self._feeder is not None and self._has_room() and self._timer is None:
            self._wake_feeder()

    def _call_over(self, task: Any) -> None:
        if type(task) is Task:
            ours = task
            if not ours._cancelled and ours._exception is None:
                if not self._ordered:
                    self._append(ours._result)
                if self._consumers._first is not None and self._offers():
                    self._wake_consumer()
                return
        elif not task.cancelled() and task.exception() is None:
            if not self._ordered:
                self._append(task.result())
            if self._consumers._first is not None and self._offers():
                self._wake_consumer()
            return
        error = self._error_of(task)
        if error is not None:
            self._fail(error)

    def _all_ended(self) -> None:
        while self._wake_consumer():
            pass

    def _wake_consumer(self) -> bool:
        while self._consumers._first is not None:
            wait = self._consumers.pop()
            if not wait._is_done():
                wait._wake()
                # It had left before it was known how long it has waited.
                self._consumers.waited += wait._waited
                return True
        return False

    def _abort(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        Crew._abort(self)

    def _failure(self, errors: list[BaseException]) -> BaseException:
        # What the source raised is not wrapped, so that a chain of these does not wrap it again and again.
        return errors[0] if self._source_failed and len(errors) == 1 else Crew._failure(self, errors)

    # -- Results

    def _offers(self) -> bool:
        """True if there is a result to give now."""
        if not (size(self._results) if is_deque(self._results) else len(self._results)):
            return False
        if not self._ordered:
            return True
        task = self._results[0]
        if type(task) is Task:
            ours = task
            return ours._done and not ours._cancelled and ours._exception is None
        return task.done() and not task.cancelled() and task.exception() is None

    def _take(self) -> Any:
        result = popleft(self._results) if is_deque(self._results) else self._results.popleft()
        if self._ordered:
            result = result.result() if type(result) is not Task else _result(result)
        self._in_flight -= 1
        self._given += 1
        if self._feeder is not None and self._timer is None and self._has_room():
            self._wake_feeder()
        if self._consumers._first is not None and self._offers():
            self._wake_consumer()
        return result

    def _next(self, wait: Next) -> Any:
        if not self._begun:
            self._begin()
        if self._closed:
            raise StopAsyncIteration
        if self._offers():
            wait._result = self._take()
            return None
        if self._tasks:
            return self._queue_up(self._consumers, wait)
        failure = self._take_failure()
        if failure is None:
            raise StopAsyncIteration
        try:
            raise failure
        finally:
            failure = None

    def _waiting_task(self) -> Any:
        wait = self._consumers._first
        if wait is None:
            return Crew._waiting_task(self)
        return None if type(wait._waker) is list else wait._waker


class Feed(Wait):
    """The feeder that takes from an iterator: a whole task."""

    __slots__ = ()

    _name = "amap.feed"

    def _begin(self) -> Any:
        mapping: Mapping = self._owner
        return mapping._feed(self)

    def _resume(self) -> Any:
        mapping: Mapping = self._owner
        self._check_woken()
        return mapping._feed(self)

    def _interrupt(self, error: BaseException) -> Any:
        mapping: Mapping = self._owner
        mapping._feeder = None
        raise error


class Room(Wait):
    """`Mapping.room`, for a feeder that is a coroutine."""

    __slots__ = ()

    _name = "amap.room"

    def _begin(self) -> Any:
        mapping: Mapping = self._owner
        if mapping._has_room() and mapping._is_time():
            return None
        return mapping._wait_for_room(self)

    def _resume(self) -> Any:
        self._check_woken()
        return self._begin()

    def _interrupt(self, error: BaseException) -> Any:
        mapping: Mapping = self._owner
        mapping._feeder = None
        raise error


class Next(Wait):
    """``__anext__`` of an `AsyncMap`, its owner.  ``_item`` is the cancellation to be raised once no task is left."""

    __slots__ = ()

    _name = "AsyncMap.__anext__"

    def _begin(self) -> Any:
        mapping = _mapping_of(self)
        return mapping._next(self)

    def _resume(self) -> Any:
        mapping = _mapping_of(self)
        self._check_woken()
        if self._item is None:
            return mapping._next(self)
        return self._end()

    def _interrupt(self, error: BaseException) -> Any:
        mapping = _mapping_of(self)
        mapping._consumers.leave(self)
        mapping._closers.leave(self)
        if self._item is None and self._woken and mapping._offers():
            # It was woken for a result: let the next have it.
            mapping._wake_consumer()
        if not isinstance(error, asyncio.CancelledError) or mapping._entered:
            raise error
        # Nobody else will see to it that nothing is left running.
        if self._item is None:
            self._item = error
            mapping._abort()
        error = None  # type: ignore[assignment]
        return self._end()

    def _end(self) -> Any:
        mapping = _mapping_of(self)
        if mapping._tasks:
            return mapping._await_end(self)
        mapping._results.clear()
        failure = mapping._take_failure()
        if failure is not None:
            # There can be only one, and it has to be the cancellation.
            mapping._report(failure)
        error: BaseException = self._item
        self._item = None
        try:
            raise error
        finally:
            error = failure = None  # type: ignore[assignment]


class AsyncMap(Stream):
    """What `hocket.amap` gives: an asynchronous iterator of results, and a block that ends what it has started."""

    def __anext__(self) -> Wait:
        return _nexting(self)

    def statistics(self) -> MappingStatistics:
        """How many calls have been started, run now and did at most, and how many results wait to be taken."""
        from hocket.structured import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_mapping(self._crew)  # type: ignore[arg-type]


def new_async_map(
    title: str, fn: Any, source: Any, feeding: Any, limits: tuple[int, int, float], ordered: bool
) -> AsyncMap:
    """An `AsyncMap`.  *limits* are how many run at once, how many are started and not given, and how many start in a
    second; *source* is an iterator, or None and *feeding* makes the coroutine that feeds."""
    mapping = Mapping.__new__(Mapping)
    mapping._init_mapping(title, fn, source, feeding, limits, ordered)
    return AsyncMap(mapping)


def _as_coroutine(made: Any, title: str) -> Any:
    if inspect.isawaitable(made):
        from hocket.structured.sources import awaited

        return awaited(made)
    raise TypeError(f"{title}: expected a function that gives something to await, got {made!r} from it")


def _is_done(task: Task) -> bool:
    return task._done


def _result(task: Task) -> Any:
    return task._result


def _feeding(mapping: Mapping) -> Feed:
    operation = Feed.__new__(Feed)
    operation._owner = mapping
    return operation  # type: ignore[no-any-return]


def _room(mapping: Mapping) -> Room:
    operation = Room.__new__(Room)
    operation._owner = mapping
    return operation  # type: ignore[no-any-return]


def _mapping_of(wait: Next) -> Mapping:
    stream: AsyncMap = wait._owner
    return stream._crew  # type: ignore[return-value]


def _nexting(stream: AsyncMap) -> Next:
    operation = Next.__new__(Next)
    operation._owner = stream
    return operation  # type: ignore[no-any-return]
