"""`Group`: a block that waits for the tasks that were started in it, as in `asyncio.taskgroups`, around a cancel scope.

The tasks begin inside of the scope, and so does the block: what cancels it, or a scope around it, cancels all of them,
at every suspension until they have ended.  What asyncio's groups do is done as asyncio does it: when a task fails, and
when the task that waits is cancelled by `Task.cancel`, each task gets one `Task.cancel`, and may clean up in peace.

`hocket.primitives.taskgroups.TaskGroup` adds what asyncio's do not have.  On loops that are not ours, and where a task
of another class has entered it, there is no scope, and a group is what asyncio's is.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from hocket.core import asyncio_private
from hocket.core.engine import Engine
from hocket.core.future import Watcher
from hocket.core.reasons import is_of_scope
from hocket.core.scope import CancelScope
from hocket.core.task import Task
from hocket.native.freelist import keep_spare
from hocket.native.operation import Operation

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.cancellation import visible
    from hocket.core.future import add_to_awaited_by, discard_from_awaited_by, watch
    from hocket.core.scope import new_scope
    from hocket.native.operation import given
    from hocket.primitives.bound import (
        check_awaited,
        current_task,
        is_done,
        new_future,
        new_task,
        running,
        task_engine,
        wait_undisturbed,
    )


class Group:
    """What asyncio's `TaskGroup` does.  Everything is in the words and fields that it has there."""

    def _init_group(self) -> None:
        self._entered = False
        self._exiting = False
        self._aborting = False
        self._loop: Any = None
        self._parent_task: Any = None
        self._parent_cancel_requested = False
        self._tasks: set[Any] = set()
        self._errors: Any = []
        self._base_error: BaseException | None = None
        self._on_completed_fut: Any = None
        self._scope: CancelScope | None = None
        # How many tasks are about to be added by somebody who waits for that.
        self._starting = 0

    def __repr__(self) -> str:
        info = [""]
        if self._tasks:
            info.append(f"tasks={len(self._tasks)}")
        if self._errors:
            info.append(f"errors={len(self._errors)}")
        if self._aborting:
            info.append("cancelling")
        elif self._entered:
            info.append("entered")
        return f"<TaskGroup{' '.join(info)}>"

    def __aenter__(self) -> Any:
        return _entering(self)

    def _enter(self) -> None:
        if self._entered:
            raise RuntimeError(f"TaskGroup {self!r} has already been entered")
        if self._loop is None:
            self._loop = running()
        self._parent_task = current_task(self._loop)
        if self._parent_task is None:
            raise RuntimeError(f"TaskGroup {self!r} cannot determine the parent task")
        self._entered = True
        if type(self._parent_task) is Task:
            self._open_scope(self._parent_task)

    def _open_scope(self, task: Task) -> None:
        if task._scheduler is None:
            return
        scope = new_scope(math.inf, False)
        scope._members = self._tasks
        scope._enter(task)
        self._scope = scope

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        if error is not None or self._tasks or self._starting or self._errors or self._parent_cancel_requested:
            return _leaving(self, error)
        if self._has_complaints():
            return _leaving(self, error)
        self._exiting = True
        self._parent_task = None
        self._errors = None
        if self._scope is not None:
            self._scope._end_block(None)
        return given(None)

    # -- Tasks

    def _add(self, coro: Any, options: dict[str, Any]) -> Any:
        """Start *coro* as a task of this group."""
        loop = self._loop
        engine = None if options else task_engine(loop)
        if engine is not None:
            ours = new_task(engine, coro)
            if self._scope is not None:
                ours._be_inside(self._scope)
            task: Any = ours
        else:
            task = self._create_elsewhere(coro, options)
        self._tasks.add(task)
        if type(task) is Task and (engine is not None or isinstance(loop, Engine)):
            attend(self, task)
        else:
            add_to_awaited_by(task, self._parent_task)
            task.add_done_callback(self._on_task_done)
        try:
            return task
        finally:
            # A task that has failed at once would be held by the traceback of its own exception.
            if not cython.compiled:
                task = ours = None  # type: ignore[assignment]

    def _create_elsewhere(self, coro: Any, options: dict[str, Any]) -> Any:
        """Have the loop make a task, which may begin at once."""
        loop = self._loop
        if self._scope is None or not isinstance(loop, Engine):
            return loop.create_task(coro, **options)
        engine = loop
        before = engine._adopting
        engine._adopting = self._scope
        try:
            made = loop.create_task(coro, **options)
        finally:
            engine._adopting = before
        if type(made) is Task:
            task = made
            if not task._done and not task._is_inside(self._scope):
                task._be_inside(self._scope)
        try:
            return made
        finally:
            if not cython.compiled:
                made = task = None  # type: ignore[assignment]

    def _is_closed(self) -> bool:
        return not self._entered or self._aborting or self._is_finished()

    def _is_finished(self) -> bool:
        return self._exiting and not self._tasks and not self._starting

    def _refuse(self, coro: Any) -> None:
        if coro is not None and asyncio_private.GROUP_CLOSES_REFUSED:
            coro.close()
        if not self._entered:
            raise RuntimeError(f"TaskGroup {self!r} has not been entered")
        if self._is_finished():
            raise RuntimeError(f"TaskGroup {self!r} is finished")
        raise RuntimeError(f"TaskGroup {self!r} is shutting down")

    # -- How they end

    def _abort(self) -> None:
        self._aborting = True
        for task in self._tasks:
            if not task.done():
                task.cancel()

    def _is_cancelled(self) -> bool:
        """Whether its scope is, or one around it."""
        return self._scope is not None and visible(self._scope) is not None

    def _abort_strangers(self) -> None:
        """The scope has been cancelled: who is not inside of it has to be told."""
        self._aborting = True
        for task in self._tasks:
            if type(task) is not Task and not task.done():
                task.cancel()

    def _on_task_done(self, task: Any) -> None:
        discard_from_awaited_by(task, self._parent_task)
        error = None if task.cancelled() else task.exception()
        try:
            if error is not None:
                self._task_failed(task, error)
            elif not task.cancelled():
                self._task_succeeded(task)
            self._task_over(task)
        finally:
            error = None  # The traceback holds this frame.

    def _task_over(self, task: Any) -> None:
        self._tasks.discard(task)
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        future = self._on_completed_fut
        if future is not None and not self._tasks and not self._starting and not is_done(future):
            future.set_result(True)

    def _task_succeeded(self, task: Any) -> None:
        pass

    def _task_failed(self, task: Any, error: BaseException) -> None:
        self._errors.append(error)
        if self._base_error is None and isinstance(error, (SystemExit, KeyboardInterrupt)):
            self._base_error = error
        if self._parent_task.done():
            self._loop.call_exception_handler(
                {
                    "message": f"Task {task!r} has errored out but its parent task {self._parent_task} is already "
                    "completed",
                    "exception": error,
                    "task": task,
                }
            )
            return
        if not self._aborting and not self._parent_cancel_requested:
            if self._is_cancelled():
                self._abort_strangers()
                return
            # The block must not go on.  Leaving it will take this request back.
            self._abort()
            self._parent_cancel_requested = True
            self._parent_task.cancel()

    def _has_complaints(self) -> bool:
        """Whether there is more to raise at the end than the errors noted so far; they are then among them."""
        return False


class _Member(Watcher):
    """Tells a group that one of its tasks is done."""

    __slots__ = ("_group",)

    _group: Group

    def run(self) -> None:
        group = self._group
        future = self._watched
        if future._exception is not None:
            future._unretrieved = False
            group._task_failed(future, future._exception)
        elif not future._cancelled:
            group._task_succeeded(future)
        # Last: as long as it is there, another may be started in its place.
        group._task_over(future)

    def waiting_task(self) -> Any:
        return self._group._parent_task


class Enter(Operation):
    """`TaskGroup.__aenter__`."""

    __slots__ = ("_group",)

    _name = "TaskGroup.__aenter__"
    _group: Group

    def _begin(self) -> Any:
        self._group._enter()
        self._result = self._group
        return None


class Leave(Operation):
    """`TaskGroup.__aexit__`.  ``_error`` is what ended the block, ``_cancellation`` the cancellation to pass on."""

    __slots__ = ("_cancellation", "_error", "_group")

    _cancellation: BaseException | None
    _error: BaseException | None
    _group: Group

    _name = "TaskGroup.__aexit__"

    def _begin(self) -> Any:
        group = self._group
        error = self._error
        group._exiting = True
        if error is not None:
            if group._base_error is None and isinstance(error, (SystemExit, KeyboardInterrupt)):
                group._base_error = error
            if isinstance(error, asyncio.CancelledError):
                self._cancellation = error
            if not group._aborting:
                self._stop(error)
        # A traceback holds the frames that it went through, and those would hold the exception: a cycle.
        error = None
        return self._wait_or_end()

    def _resume(self) -> Any:
        check_awaited(self._future)
        self._group._on_completed_fut = None
        return self._wait_or_end()

    def _interrupt(self, error: BaseException) -> Any:
        group = self._group
        if not isinstance(error, asyncio.CancelledError):
            self._let_go()
            raise error
        if is_of_scope(error):
            # The scope will see to it that this one is not forgotten; what the block has raised would be.
            if self._error is None and self._cancellation is None:
                self._cancellation = error
        elif not group._aborting:
            # The task that waits is being cancelled from outside.
            self._cancellation = error
        if not group._aborting:
            self._stop(error)
        group._on_completed_fut = None
        error = None  # type: ignore[assignment]
        return self._wait_or_end()

    def _stop(self, error: BaseException) -> None:
        group = self._group
        if is_of_scope(error) and group._is_cancelled():
            # All that are inside of the scope know already.
            group._abort_strangers()
        else:
            group._abort()

    def _wait_or_end(self) -> Any:
        group = self._group
        if group._tasks or group._starting:
            if group._on_completed_fut is None:
                group._on_completed_fut = new_future(group._loop)
            if group._aborting and group._scope is not None:
                # Nothing is gained by being told again: it takes as long as the tasks take.
                wait_undisturbed()
            return group._on_completed_fut
        caught = False
        try:
            error = self._to_raise()
            if group._scope is not None:
                caught = group._scope._end_block(error)
        finally:
            self._let_go()
        if caught:
            self._result = True
            error = None
        if error is None:
            return None
        try:
            if isinstance(error, BaseExceptionGroup):
                raise error from None
            raise error
        finally:
            error = None

    def _to_raise(self) -> BaseException | None:
        group = self._group
        error = self._error
        parent = group._parent_task
        if group._base_error is not None:
            return group._base_error
        if group._parent_cancel_requested and parent.uncancel() == 0:
            # It was our own request, and nobody else's.
            self._cancellation = None
        group._has_complaints()
        errors = group._errors
        if self._cancellation is not None and not errors:
            return self._cancellation
        if error is not None and not isinstance(error, asyncio.CancelledError):
            errors.append(error)
        if not errors:
            return None
        if parent.cancelling():
            # Cancelled from outside as well: deliver that at the next suspension, with the count as it was.
            parent.uncancel()
            parent.cancel()
        return BaseExceptionGroup("unhandled errors in a TaskGroup", errors)

    def _let_go(self) -> None:
        # Exceptions hold whatever their frames held.
        group = self._group
        if group._scope is not None:
            group._scope._abandon()
        group._parent_task = None
        group._errors = None
        group._base_error = None
        self._error = None
        self._cancellation = None


def attend(group: Group, task: Task) -> None:
    """Have *group* be told when *task* is done."""
    watcher = _Member.__new__(_Member)
    watcher._group = group
    watch(task, watcher)


def _entering(group: Group) -> Enter:
    operation = Enter.__new__(Enter)
    operation._group = group
    return operation  # type: ignore[no-any-return]


def _leaving(group: Group, error: BaseException | None) -> Leave:
    operation = Leave.__new__(Leave)
    operation._group = group
    operation._error = error
    operation._cancellation = None
    return operation  # type: ignore[no-any-return]


keep_spare(_Member, 1024)
