"""A coroutine on its way.

A task that is ready stands in the ready ring as itself, and `Task.run` resumes it.  While it is not done it is in one
of three states, asyncio's:

=========  ============================================  ==========================================
state      ``_fut_waiter``                               how it goes on
=========  ============================================  ==========================================
waiting    a future, or a `Wait`, that is not done       that wakes it: it becomes ready
ready      None, or one that is done                     its turn comes: it runs
running    None                                          it yields, returns or raises
=========  ============================================  ==========================================

A loop holds every task that is not done in its list of live tasks, so that none is lost to the garbage collector;
``_slot`` is the task's place there.  While that loop runs, the collector need not look through its tasks.  A task also
works on a loop that is not ours: then it is woken through `call_soon` and registered with asyncio, as asyncio's own is,
and nothing holds it but who awaits it.
"""

from __future__ import annotations

import asyncio
import inspect
import reprlib
from contextvars import Context
from typing import TYPE_CHECKING, Any, TextIO

from hocket.core import asyncio_private
from hocket.core.cancellation import Interruptible
from hocket.core.future import Future
from hocket.core.handles import Handle
from hocket.core.ready import Ready
from hocket.core.wait import Wait
from hocket.native.freelist import keep_spare
from hocket.native.measure import Histogram
from hocket.native.operation import Operation
from hocket.native.step import Raised, Returned

if TYPE_CHECKING:
    from hocket.core.scheduler import Scheduler
    from hocket.native.ring import Ring

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.cancellation import deadline_inside
    from hocket.native.frames import calling_code, calling_offset
    from hocket.native.freelist import is_shared, track
    from hocket.native.measure import ticks
    from hocket.native.ring import (
        CANCEL,
        CANCELLED,
        DONE,
        EAGER,
        ENDED,
        FAILED,
        FINISHED,
        SPAWN,
        STEP,
        WAITS_FOR_FOREIGN,
        WAITS_FOR_FUTURE,
        WAITS_FOR_OPERATION,
        WAITS_FOR_TASK,
        WITHIN,
        YIELDED,
    )
    from hocket.native.step import copy_context, is_coroutine, send, throw

# Every task bears a number, the loops' tasks in one series: its name, unless somebody gives it a better one.
_numbered = 0


def _next_number() -> int:
    global _numbered
    _numbered += 1
    return _numbered


class Task(Interruptible):
    """Runs a coroutine on an event loop.  Semantics of `asyncio.Task`.

    *name* is for logs; *context* is the `contextvars.Context` to run in, by default a copy of the current one; with
    *eager_start* the coroutine runs at once, up to its first suspension, if the loop is running.

    Raises `TypeError` if *coro* is not a coroutine.  Usually made by `asyncio.create_task`::

        task = asyncio.create_task(fetch(url), name="fetch")
        page = await task

    `cancel` raises `asyncio.CancelledError` in the coroutine at the point where it is suspended.
    """

    def __init__(
        self,
        coro: Any,
        *,
        loop: Any = None,
        name: object = None,
        context: Context | None = None,
        eager_start: bool = False,
    ) -> None:
        self._init_task(
            coro, asyncio_private.get_loop_for_future() if loop is None else loop, name, context, eager_start
        )

    def _init_task(self, coro: Any, loop: Any, name: object, context: Context | None, eager_start: bool) -> None:
        self._init_future(loop)
        self._init_interruptible()
        self._slot = -1
        self._log_destroy_pending = False
        if not is_coroutine(coro) and not isinstance(coro, Operation) and not asyncio_private.iscoroutine(coro):
            raise TypeError(f"a coroutine was expected, got {coro!r}")
        self._log_destroy_pending = True
        self.publishes = True
        self._coro: Any = coro
        self._context: Context = copy_context() if context is None else context
        self._name: str | None = None if name is None else str(name)
        self._number = _next_number()
        self._to_raise: BaseException | None = None
        # Where it was made, and by whom: the number of a task of the loops, or 0.
        self._made_by_code = calling_code()
        self._made_at = calling_offset()
        self._parent = 0
        self._yields = 0
        self._ran = 0
        self._longest = 0
        self._waited = 0
        self._longest_wait = 0
        # Of how long its steps take, and how long it is ready before them: while somebody looks at it.
        self._histograms: tuple[Histogram, Histogram] | None = None
        if self._scheduler is not None:
            self._scheduler.tasks_started += 1
            if self._scheduler._announced is not None:
                self._note_maker(self._scheduler._announced)
            if self._scheduler._queue.ring is not None:
                self._record_made(self._scheduler._queue)
        # It runs if one of its tasks makes this one.  (`is_running` is Python, and libraries start a task a request.)
        if eager_start and (self._parent != 0 or self._loop.is_running()):
            self._start_now()
        else:
            self._start_soon()

    def _note_maker(self, task: Any) -> None:
        if not isinstance(task, Task):
            return  # of asyncio's own class
        maker = task
        self._parent = maker._number
        self._inherited_deadline = maker._inherited_deadline if maker._scope is None else deadline_inside(maker)

    def _start_soon(self) -> None:
        self._make_ready(None)
        self._enlist()

    def _start_now(self) -> None:
        """Run the first step inside of whoever creates the task."""
        if self._scheduler is not None and self._scheduler._adopting is not None:
            self._be_inside(self._scheduler._adopting)
            self._scheduler._adopting = None
        if self._scheduler is not None and self._scheduler._announced is not None:
            self._start_within(self._scheduler, self._scheduler._announced)
            return
        loop = self._loop
        previous = asyncio_private.swap_current_task(loop, self)
        announced = None
        if self._scheduler is not None:
            announced = self._scheduler._announced
            self._scheduler._announced = self
            self.since = self._scheduler._queue.now
        asyncio_private.register_eager_task(self)
        began = ticks()
        try:
            self._advance(None, self._context)
        finally:
            self._account_within(EAGER, began)
            asyncio_private.unregister_eager_task(self)
            if self._scheduler is not None:
                self._scheduler._announced = announced
            asyncio_private.swap_current_task(loop, previous)
            if not self._done:
                self._enlist()
            else:
                track(self)
                self._coro = None

    def _start_within(self, scheduler: Scheduler, creator: Any) -> None:
        """`_start_now` inside of *creator*, a task that *scheduler* runs: asyncio need not be told step by step."""
        self.since = scheduler._queue.now
        self._enlist()
        scheduler.publish(self)
        began = ticks()
        try:
            self._advance(None, self._context)
        finally:
            self._account_within(EAGER, began)
            scheduler.publish(creator)
            if self._done:
                track(self)
                self._coro = None

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return asyncio.Task

    def __del__(self) -> None:
        if not self._done and self._log_destroy_pending and (self._scheduler is None or not self._scheduler._owner):
            context = {"task": self, "message": "Task was destroyed but it is pending!"}
            if self._source_traceback:
                context["source_traceback"] = self._source_traceback
            self._loop.call_exception_handler(context)
        if self._unretrieved:
            self._report_never_retrieved()

    # -- What it is

    def get_coro(self) -> Any:
        """The coroutine; None for a task that was done before it was ever suspended."""
        return self._coro

    def get_context(self) -> Context:
        """The context that the coroutine runs in."""
        return self._context

    def get_name(self) -> str:
        """The name that was given, or else ``Task-`` and a number."""
        if self._name is None:
            self._name = f"Task-{self._number}"
        return self._name

    def set_name(self, value: object) -> None:
        """Give the task a name."""
        self._name = str(value)

    def get_stack(self, *, limit: int | None = None) -> list[Any]:
        """The frames where the coroutine is suspended, or those of its exception; as `asyncio.Task.get_stack`."""
        return asyncio_private.task_get_stack(self, limit)

    def print_stack(self, *, limit: int | None = None, file: TextIO | None = None) -> None:
        """Print what `get_stack` gives, to *file* or `sys.stderr`."""
        asyncio_private.task_print_stack(self, limit, file)

    def set_result(self, result: object) -> None:
        """A task's result is its coroutine's: raises `RuntimeError`."""
        raise RuntimeError("Task does not support set_result operation")

    def set_exception(self, exception: object) -> None:
        """A task's exception is its coroutine's: raises `RuntimeError`."""
        raise RuntimeError("Task does not support set_exception operation")

    def __repr__(self) -> str:
        return _repr(self)

    # -- Cancellation

    def cancel(self, msg: Any = None) -> bool:
        """Raise `asyncio.CancelledError` in the coroutine when it next runs.  False if the task is done.

        The coroutine may clean up, and may even refuse; `cancelled` tells in the end.  Each call counts in
        `cancelling` until `uncancel` takes it back.
        """
        self._unretrieved = False
        if self._done:
            return False
        if self._scheduler is not None and self._scheduler._queue.ring is not None:
            self._record_cancel(self._scheduler._queue)
        self._cancel_natively(msg)
        return True

    def cancelling(self) -> int:
        """How many requests to cancel have not been taken back."""
        return self._num_cancels_requested

    def uncancel(self) -> int:
        """Take one request to cancel back; returns how many are left.

        Taking back the last one also calls off a cancellation that has not reached the coroutine yet: asyncio does so
        from Python 3.13 on, hocket on every version.
        """
        self._uncancel()
        return self._num_cancels_requested

    # -- Running

    # An exception's traceback may keep the frames that led to it, and they would keep the task, which keeps the
    # exception.  Each method on the way of a step therefore lets go of what it holds in the end; compiled, it has no
    # frame.

    def run(self) -> None:
        waiter = self._fut_waiter
        error = self._to_raise
        if error is not None:
            self._to_raise = None
        elif waiter is not None:
            if isinstance(waiter, Wait):
                wait = waiter
                error = wait.outcome_to_raise() if wait._cancelled else None
            else:
                future = waiter
                error = future.outcome_to_raise()
        try:
            if not self._done:
                self._resume(error, self._context)
            else:
                # Somebody has set the outcome over the coroutine's head.
                Handle(self._step, (error,), self._loop, self._context).run()
        finally:
            if not cython.compiled:
                self = waiter = wait = future = error = None  # type: ignore[assignment]

    def _step(self, error: BaseException | None = None) -> None:
        """The step as a callback, which is called inside the task's context."""
        try:
            self._resume(error, None)
        finally:
            if not cython.compiled:
                self = error = None  # type: ignore[assignment]

    def _resume(self, error: BaseException | None, context: Context | None) -> None:
        if self._done:
            raise asyncio.InvalidStateError(f"_step(): already done: {self!r}, {error!r}")
        if self._cancellation:
            if self._holds_back(error):
                return
            error = self._what_to_raise(error)
        self._fut_waiter = None
        try:
            if self._scheduler is not None:
                self._scheduler.publish(self)
                self._advance(error, context)
            else:
                self._advance_elsewhere(error, context)
        finally:
            if not cython.compiled:
                self = error = None  # type: ignore[assignment]

    def _advance_elsewhere(self, error: BaseException | None, context: Context | None) -> None:
        """`_advance` on a loop that is not ours, and leaves the announcing to the task."""
        asyncio_private.enter_task(self._loop, self)
        try:
            self._advance(error, context)
        finally:
            asyncio_private.leave_task(self._loop, self)
            if not cython.compiled:
                self = error = None  # type: ignore[assignment]

    def _advance(self, error: BaseException | None, context: Context | None) -> None:
        """Resume the coroutine, with *error* if there is one, and see to what it comes to.

        *context* is to be entered; None: the caller is in it already.
        """
        outcome = send(self._coro, context) if error is None else throw(self._coro, error, context)
        try:
            if outcome is None:
                # A bare yield: everybody else first.
                self._yields += 1
                self._make_ready(None)
            elif type(outcome) is Future or type(outcome) is Task:
                self._wait_for(outcome)
            elif type(outcome) is Returned:
                self._return(outcome.value)
            elif type(outcome) is Raised:
                self._raise(outcome.error)
            elif isinstance(outcome, Wait):
                self._wait_on(outcome)
            else:
                self._wait_for_foreign(outcome)
        finally:
            if not cython.compiled:
                self = error = outcome = None  # type: ignore[assignment]

    def _wait_for(self, future: Future) -> None:
        if future._loop is not self._loop or not future._asyncio_future_blocking or future is self:
            self._refuse(future)
            return
        future._asyncio_future_blocking = False
        if self._scheduler is None:
            future.add_done_callback(self._wakeup, context=self._context)
        elif not future._done:
            future._add_waiter(self, None)
        else:
            self._scheduler._queue.push(self)
        self._fut_waiter = future
        if self._cancellation:
            self._suspended()

    def _wait_on(self, wait: Wait) -> None:
        """Wait for an operation that wakes the task itself."""
        if wait._loop is not self._loop or not wait._blocking:
            self._refuse(wait)
            return
        if self._scheduler is None:
            self._wait_for_foreign(wait)
            return
        wait._blocking = False
        if wait._is_done():
            self._scheduler._queue.push(self)
        else:
            wait._waker = self
        self._fut_waiter = wait
        if self._cancellation:
            self._suspended()

    def _wait_for_foreign(self, awaited: Any) -> None:
        """Wait for a future that is not of our own classes, or refuse what cannot be awaited."""
        blocking = getattr(awaited, "_asyncio_future_blocking", None)
        if not blocking or awaited is self or asyncio_private.get_future_loop(awaited) is not self._loop:
            self._refuse(awaited)
            return
        asyncio_private.future_add_to_awaited_by(awaited, self)
        awaited._asyncio_future_blocking = False
        awaited.add_done_callback(self._wakeup, context=self._context)
        self._fut_waiter = awaited
        if self._cancellation:
            self._suspended()

    def _wakeup(self, future: Any) -> None:
        """What a future calls that cannot wake a task as itself."""
        asyncio_private.future_discard_from_awaited_by(future, self)
        if self._scheduler is not None:
            self._scheduler.steps += 1
        error: BaseException | None = None
        if type(future) is Future or type(future) is Task:
            error = _outcome(future)
        else:
            try:
                future.result()
            except BaseException as raised:
                # Without the frame of this method, if it left one: it says nothing to whoever reads the traceback.
                traceback = raised.__traceback__
                if traceback is not None and traceback.tb_frame.f_globals.get("__name__") == __name__:
                    traceback = traceback.tb_next
                error = raised.with_traceback(traceback)
        began = ticks()
        try:
            self._step(error)
        finally:
            self._account_within(WITHIN, began)
            if not cython.compiled:
                self = future = error = None  # type: ignore[assignment]

    def _refuse(self, awaited: Any) -> None:
        blocking = getattr(awaited, "_asyncio_future_blocking", None)
        if blocking is None:
            if inspect.isgenerator(awaited):
                message = f"yield was used instead of yield from for generator in task {self!r} with {awaited!r}"
            else:
                message = f"Task got bad yield: {awaited!r}"
        elif asyncio_private.get_future_loop(awaited) is not self._loop:
            message = f"Task {self!r} got Future {awaited!r} attached to a different loop"
        elif not blocking:
            message = f"yield was used instead of yield from in task {self!r} with {awaited!r}"
        else:
            message = f"Task cannot await on itself: {self!r}"
        self._make_ready(RuntimeError(message))

    def _make_ready(self, error: BaseException | None) -> None:
        """Have the next step run in the next turn, raising *error* if there is one."""
        if self._scheduler is None:
            self._loop.call_soon(self._step, error, context=self._context)
            return
        if self._scheduler._closed:
            self._scheduler._check_closed()
        if self._scheduler._debug:
            self._scheduler._check_thread()
        self._to_raise = error
        self._scheduler._queue.push(self)

    def account(self, waited: int, ran: int, now: int) -> None:
        self.since = now
        self._steps += 1
        self._ran += ran
        if ran > self._longest:
            self._longest = ran
        self._waited += waited
        if waited > self._longest_wait:
            self._longest_wait = waited
        if self._histograms is not None:
            self._count_in_histograms(waited, ran)

    def _count_in_histograms(self, waited: int, ran: int) -> None:
        histograms = self._histograms
        if histograms is not None:  # Nobody has stopped looking in between.
            step_times, ready_delays = histograms
            step_times.add(ran)
            ready_delays.add(waited)

    def _account_within(self, how: int, began: int) -> None:
        """`account` for a step that ran inside of what somebody else ran."""
        now = ticks()
        since = began
        if how == WITHIN and self._scheduler is not None and self._scheduler._since < began:
            since = self._scheduler._since  # Of the callback, which is how the task was woken.
        self.account(began - since, now - began, now)
        if self._scheduler is not None and self._scheduler._queue.ring is not None:
            self._record_step(self._scheduler._queue.ring, how, self._scheduler._queue.loop, since, began, now)

    # -- For the flight recorder

    def record(self, ring: Ring, loop: int, since: int, started: int, ended: int) -> None:
        self._record_step(ring, 0, loop, since, started, ended)

    def _record_step(self, ring: Ring, how: int, loop: int, since: int, started: int, ended: int) -> None:
        waiter = self._fut_waiter
        place = 0
        awaited = 0
        if self._done:
            how |= ENDED
        else:
            place = ring.standing(self._coro)
            if waiter is None:
                how |= YIELDED
            elif isinstance(waiter, Wait):
                how |= WAITS_FOR_OPERATION
                wait = waiter
                awaited = ring.identity_as(wait if wait._owner is None else wait._owner, wait)
            elif isinstance(waiter, Task):
                how |= WAITS_FOR_TASK
                awaited = _number_of(waiter)
            else:
                how |= WAITS_FOR_FUTURE if isinstance(waiter, Future) else WAITS_FOR_FOREIGN
                awaited = ring.identity(waiter)
        ring.note(STEP, how, loop, place, started, ended, self._number, since, awaited)

    def _record_made(self, queue: Ready) -> None:
        ring: Ring = queue.ring  # type: ignore[assignment]
        place = ring.place(self._made_by_code, self._made_at)
        code = ring.place(_code_of(self._coro), 0)
        ring.note(SPAWN, 0, queue.loop, place, ticks(), ring.identity(self._coro), self._number, self._parent, code)

    def _record_end(self, queue: Ready) -> None:
        ring: Ring = queue.ring  # type: ignore[assignment]
        how = CANCELLED if self._cancelled else FINISHED if self._exception is None else FAILED
        error = 0 if self._exception is None else ring.identity(self._exception)
        ring.note(DONE, how, queue.loop, ring.place(_code_of(self._coro), 0), ticks(), 0, self._number, error, 0)
        if self._name is not None:
            ring.say(self._name)

    def _record_cancel(self, queue: Ready) -> None:
        ring: Ring = queue.ring  # type: ignore[assignment]
        scheduler = self._scheduler
        by = 0
        if scheduler is not None and scheduler._announced is not None:
            by = _number_of(scheduler._announced)
        ring.note(CANCEL, 0, queue.loop, 0, ticks(), 0, self._number, by, 0)

    # -- The end

    def _return(self, value: Any) -> None:
        self._delist()
        if self._cancellation and self._ends_cancelled():
            # Cancelled at the very moment at which the coroutine returned.
            self._abandon(self._cancel_message)
        else:
            self._finish(value)
        self._count()

    def _raise(self, error: BaseException) -> None:
        self._delist()
        if isinstance(error, asyncio.CancelledError):
            self._cancelled_exc = error
            self._abandon(None)
            self._count()
            return
        self._fail(error)
        self._count()
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error

    def _count(self) -> None:
        scheduler = self._scheduler
        if scheduler is None:
            return
        if self._cancelled:
            scheduler.tasks_cancelled += 1
        elif self._exception is None:
            scheduler.tasks_finished += 1
        else:
            scheduler.tasks_failed += 1
        if scheduler._queue.ring is not None:
            self._record_end(scheduler._queue)

    # -- Among the living

    def _enlist(self) -> None:
        if self._scheduler is None:
            asyncio_private.register_task(self)
            track(self)
            return
        if self._scheduler._thread_id is None:
            track(self)
        live = self._scheduler._live
        self._slot = len(live)
        live.append(self)

    def _delist(self) -> None:
        if self._scope is not None:
            self._leave_scopes()
        if self._slot < 0:
            return
        if is_shared(self):
            track(self)
        # The last one takes the place.  (A loop that was closed has let go of all of them.)
        live = self._scheduler._live  # type: ignore[union-attr]
        slot = self._slot
        self._slot = -1
        if slot < len(live) and live[slot] is self:
            last = live.pop()
            if last is not self:
                last._slot = slot
                live[slot] = last


def _number_of(task: Any) -> int:
    if not isinstance(task, Task):
        return 0  # of asyncio's own class
    made = task
    return made._number


def _code_of(coroutine: Any) -> Any:
    return getattr(coroutine, "cr_code", None)


def _outcome(future: Future) -> BaseException | None:
    return future.outcome_to_raise()


@reprlib.recursive_repr()
def _repr(task: Any) -> str:
    return f"<{type(task).__name__} {' '.join(asyncio_private.task_repr_info(task))}>"


if not cython.compiled:
    # C attributes have a value from the start, and asyncio's classes can be asked before __init__ was called.
    Task._log_destroy_pending = False
    Task._coro = None
    Task._context = None  # type: ignore[assignment]
    Task._name = None
    Task._number = 0
    Task._slot = -1

# `_enlist` and whoever stops the loop see to the rest.
keep_spare(Task, 1024, tracked=False)
