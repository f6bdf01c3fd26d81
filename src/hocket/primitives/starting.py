"""`TaskGroup.start`: a task that says when it is ready.

Until it has said so it stands in the scope of whoever waits for it, and its errors are his; then it moves into the
group's.  This is trio's protocol; anyio speaks it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from hocket.core.reasons import is_of_scope
from hocket.core.scope import CancelScope
from hocket.primitives import bound

if TYPE_CHECKING:
    from hocket.primitives.taskgroups import TaskGroup


class TaskStatus(Protocol):
    """What a function that `TaskGroup.start` calls gets as ``task_status``."""

    def started(self, value: Any = None) -> None:
        """Say that the task is ready, and hand *value* to whoever waits for that.  `RuntimeError` the second time."""


class _Ignored:
    """A `TaskStatus` that nobody looks at: the default of ``task_status`` in a function that is also called in other
    ways than by `TaskGroup.start`."""

    def started(self, value: Any = None) -> None:
        """Nobody waits for it."""

    def __repr__(self) -> str:
        return "TASK_STATUS_IGNORED"


TASK_STATUS_IGNORED: TaskStatus = _Ignored()


class _Status:
    def __init__(self, group: TaskGroup, scope: CancelScope) -> None:
        self._group = group
        self._scope = scope
        self._called = False
        self.task: Any = None
        self.adopted = False
        self.answer: Any = asyncio.get_running_loop().create_future()

    def started(self, value: Any = None) -> None:
        if self._called:
            raise RuntimeError("started() has been called before")
        self._called = True
        if self.answer.done() or self._scope.cancel_called:
            return  # Who waited for it has been cancelled, and the task is about to be.
        self._group._adopt(self.task, self._scope)
        self.adopted = True
        self.answer.set_result(value)

    def ended(self, task: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(None)


async def start(group: TaskGroup, function: Callable[..., Any], args: tuple[Any, ...], name: object) -> Any:
    group._begin_start()
    has_place = False
    status = None
    try:
        await group._reserve()
        has_place = True
        with CancelScope() as scope:
            status = _Status(group, scope)
            coro = bound.called(function, args, {"task_status": status})
            task = status.task = group._launch(coro, name, scope)
            task.add_done_callback(status.ended)
            try:
                value = await status.answer
            except asyncio.CancelledError as error:
                if status.adopted:
                    raise
                await _outlast(task, error)
                if task.cancelled() or task.exception() is None:
                    raise
                if not is_of_scope(error):
                    _ask_again()
                raise task.exception() from error
            if status.adopted:
                return value
            if task.cancelled():
                raise RuntimeError(f"{task!r} was cancelled before it had called task_status.started()")
            task.result()
            raise RuntimeError(f"{task!r} has returned without having called task_status.started()")
    finally:
        group._end_start(has_place and (status is None or not status.adopted))
        status = None  # The traceback holds this frame.


async def _outlast(task: Any, error: BaseException) -> None:
    """Wait until *task*, whose starter is being cancelled, has ended."""
    if not is_of_scope(error):
        task.cancel()
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                task.cancel()


def _ask_again() -> None:
    """Something else is raised than the cancellation that has arrived: that has to come at the next suspension."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        task.uncancel()
        task.cancel()
