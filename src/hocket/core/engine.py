"""The scheduler together with the two things that it makes: futures and tasks."""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any

from hocket.core import asyncio_private
from hocket.core.future import Future
from hocket.core.handles import TimerHandle
from hocket.core.scheduler import Scheduler, live_tasks
from hocket.core.task import Task
from hocket.core.wakeups import NO_CONTEXT, Wakeup

if TYPE_CHECKING:
    from hocket.native.ring import Ring

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.scheduler import nanoseconds
    from hocket.native.measure import ticks
    from hocket.native.ring import TIMER

_set_result = asyncio_private.set_result_unless_cancelled

if not asyncio_private.announce_live_tasks(live_tasks):
    raise ImportError("hocket: asyncio.all_tasks() cannot be taught about hocket's tasks on this Python")


class Engine(Scheduler):
    """A `Scheduler` that makes futures and tasks.  To be combined with `asyncio.SelectorEventLoop`, in front of it."""

    def create_future(self) -> Future:
        """A new `hocket.Future` on this loop."""
        future = Future.__new__(Future)
        future._init_future(self)
        return future

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None, **options: Any) -> Any:
        """Run *coro* in a new task: a `hocket.Task`, or what the task factory makes.  As `asyncio.loop.create_task`.

        ``eager_start=True`` runs it at once, up to its first suspension, on every supported Python.
        """
        if self._closed:
            self._check_closed()
        factory = self._task_factory  # type: ignore[attr-defined]
        if factory is not None:
            return asyncio_private.call_task_factory(factory, self, coro, name, context, options)
        eager = options.pop("eager_start", False) if options else False
        if options:
            raise TypeError(f"create_task() got an unexpected keyword argument {next(iter(options))!r}")
        return self._new_task(coro, name, context, bool(eager))

    def _new_task(self, coro: Any, name: object, context: Context | None, eager: bool) -> Task:
        task = Task.__new__(Task)
        task._init_task(coro, self, name, context, eager)
        return task

    def _call_at(
        self, when: float, callback: Any, args: tuple[Any, ...], context: Context | None, by: str
    ) -> TimerHandle:
        if callback is not _set_result or len(args) != 2 or context is not None or self._debug:
            return Scheduler._call_at(self, when, callback, args, context, by)
        future = args[0]
        if type(future) is not Future or self._closed or when != when:
            return Scheduler._call_at(self, when, callback, args, context, by)
        # It is what asyncio.sleep() asks for, and no code of a user's that would need a context.
        timer = Wakeup.__new__(Wakeup)
        timer._init_timer(when, callback, (), self, NO_CONTEXT, False)
        timer._future = future
        timer._value = args[1]
        self._timers.push(timer)
        if self._queue.ring is not None:
            record_timer(self, future, when)
        return timer


def record_timer(engine: Engine, woken: Any, when: float) -> None:
    """Record that a timer was set for *when*, which will wake *woken*."""
    queue = engine._queue
    ring: Ring = queue.ring  # type: ignore[assignment]
    ring.note(TIMER, 0, queue.loop, 0, ticks(), 0, ring.identity(woken), nanoseconds(when - engine._now()), 0)
