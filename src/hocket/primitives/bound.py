"""What the primitives share: the running loop, and being bound to the loop on which they first waited."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from hocket.core import asyncio_private
from hocket.core.engine import Engine
from hocket.core.future import Future
from hocket.core.task import Task
from hocket.core.wait import Line, Wait
from hocket.native.operation import Operation

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.scheduler import running_here, running_task
    from hocket.native.step import is_coroutine

_binding = threading.Lock()
_CREATE_TASK = Engine.create_task


class LoopBound:
    """Bound to the first loop on which somebody had to wait; `RuntimeError` on any other, as in asyncio."""

    def __init__(self) -> None:
        self._loop: Any = None

    def _get_loop(self) -> Any:
        loop = running()
        if self._loop is not loop:
            self._bind(loop)
        return loop

    def _bind(self, loop: Any) -> None:
        with _binding:
            if self._loop is None:
                self._loop = loop
        if self._loop is not loop:
            raise RuntimeError(f"{self!r} is bound to a different event loop")

    def _queue_up(self, line: Line, wait: Wait) -> Any:
        """Have *wait* stand in *line* and wait there."""
        loop = running()
        if self._loop is not loop:
            self._bind(loop)
        line.join(wait)
        return wait._suspend(loop)


def running() -> Any:
    """The running loop; `RuntimeError` if there is none."""
    loop = running_here()
    if loop is None:
        raise RuntimeError("no running event loop")
    return loop


def new_future(loop: Any) -> Any:
    """A future of *loop*: ours on our loops, without asking the loop."""
    if not isinstance(loop, Engine):
        return loop.create_future()
    future = Future.__new__(Future)
    future._init_future(loop)
    return future


def timer_engine(loop: Any) -> Engine | None:
    """*loop* if timers may be put into its heap directly: it is ours, and nobody makes its timers in another way."""
    if isinstance(loop, Engine):
        engine = loop
        if not engine._timers_replaced:
            return engine
    return None


def task_engine(loop: Any) -> Engine | None:
    """*loop* if its tasks may be made without asking it: it is ours, open, and nobody makes its tasks otherwise."""
    if isinstance(loop, Engine) and type(loop).create_task is _CREATE_TASK:
        engine = loop
        settings = loop.__dict__
        if not engine._closed and settings.get("_task_factory") is None and "create_task" not in settings:
            return engine
    return None


def new_task(engine: Engine, coro: Any) -> Task:
    """A task of a loop that `task_engine` gave."""
    return engine._new_task(coro, None, None, False)


def current_task(loop: Any) -> Any:
    """The task that runs on *loop*, or None."""
    if isinstance(loop, Engine):
        engine = loop
        if engine._announced is not None:
            return engine._announced
    return asyncio.current_task(loop)


def number_here() -> int:
    """The number of the task of ours that runs in this thread; 0: none does."""
    task = running_task()
    if type(task) is Task:
        ours = task
        return ours._number
    return 0


def is_done(future: Any) -> bool:
    """``future.done()``, of any class."""
    if type(future) is Future or type(future) is Task:
        ours = future
        return ours._done
    return bool(future.done())


def fulfil(future: Any, value: Any) -> None:
    """``future.set_result(value)``, of any class."""
    if type(future) is Future:
        ours = future
        ours._finish(value)
    else:
        future.set_result(value)


def check_awaited(future: Any) -> None:
    """Refuse to go on before *future* is done: somebody resumes an operation by hand."""
    if not is_done(future):
        raise RuntimeError("await wasn't used with future")


def wait_undisturbed() -> None:
    """What the task that runs waits for next is not to be interrupted by a cancelled scope: it has been told already,
    and what it does now must be done before it may go."""
    task = running_task()
    if type(task) is Task:
        ours = task
        ours._stop_listening()


def called(function: Any, args: tuple[Any, ...], options: dict[str, Any] | None) -> Any:
    """The coroutine that ``function(*args, **options)`` gives; `TypeError` if it is none."""
    if not callable(function):
        hint = ": create_task() takes that" if asyncio_private.iscoroutine(function) else ""
        raise TypeError(f"an async function was expected, got {function!r}{hint}")
    coro = function(*args) if options is None else function(*args, **options)
    if not is_coroutine(coro) and not isinstance(coro, Operation) and not asyncio_private.iscoroutine(coro):
        raise TypeError(f"an async function was expected, but {function!r} returned {coro!r}")
    return coro
