"""The scheduler together with the two things that it makes: futures and tasks."""

from __future__ import annotations

from contextvars import Context
from typing import Any

from hocket.core import asyncio_private
from hocket.core.future import Future
from hocket.core.scheduler import Scheduler, live_tasks
from hocket.core.task import Task

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
