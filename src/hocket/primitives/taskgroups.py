"""`TaskGroup`: what asyncio's is, and what trio's nurseries and anyio's groups are.

How a group waits for its tasks, and how they and the block are cancelled, is in `hocket.primitives.grouping`.  Here is
what it has beyond that: tasks that report when they are ready, a limit, other ends than that of all tasks, and groups
that live on when a task fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hocket.core.engine import Engine
from hocket.core.scope import CancelScope
from hocket.core.task import Task
from hocket.core.wait import Line, Wait
from hocket.primitives import starting
from hocket.primitives.grouping import Group

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.scope import move
    from hocket.primitives.bound import called, running
    from hocket.primitives.grouping import attend

if TYPE_CHECKING:
    from hocket.primitives.joining import Join
    from hocket.primitives.statistics import GroupStatistics


class TaskGroup(Group):
    """Runs tasks and waits for all of them at the end of the block.  Semantics of `asyncio.TaskGroup`, and more.

    The first task that fails cancels the others and the block; all exceptions come out in one `ExceptionGroup`.
    Cancelling the task that waits cancels all of them.  `cancel` ends the group and the block, without an error::

        async with hocket.TaskGroup() as group:
            group.create_task(fetch(url))

    *limit*: how many tasks it runs at a time; `spawn` and `start` wait until there is room.  *join*: when the block is
    over, by default when all tasks are; see `join_all`, `join_first` and `join_until`, with which the group also keeps
    its ``results``.  *on_failure* makes a group that survives the failure of a task: it is called with the task and the
    `Exception`, and the others go on, unless it raises.  `report_failure` is one that tells the loop's exception
    handler.

    Raises `TypeError` or `ValueError` for a limit that is no int of 1 or more.  What it has beyond asyncio's needs a
    task of hocket's on hocket's loop.
    """

    def __init__(
        self,
        *,
        limit: int | None = None,
        join: Join | None = None,
        on_failure: Callable[[Any, Exception], object] | None = None,
    ) -> None:
        self._init_group()
        self._started = 0
        self._failed = 0
        # Free places, if there is a limit; and who waits for one.
        self._limit = 0
        self._room = 0
        self._line: Line | None = None
        self._join: Any = None
        self._results: Any = None
        self._failures: Any = None
        self._satisfied = False
        self._complained = False
        self._on_failure: Any = None
        if limit is not None:
            self._set_limit(limit)
        if join is not None:
            self._set_join(join)
        if on_failure is not None:
            if not callable(on_failure):
                raise TypeError(f"on_failure is to be called with a task and its exception; got {on_failure!r}")
            self._on_failure = on_failure

    def _set_limit(self, limit: Any) -> None:
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"limit is a number of tasks, an int of 1 or more, or None; got {limit!r}")
        if limit < 1:
            raise ValueError(f"limit is a number of tasks, an int of 1 or more, or None; got {limit!r}")
        self._limit = self._room = limit
        self._line = Line()

    def _set_join(self, join: Any) -> None:
        if not callable(getattr(join, "succeeded", None)) or not callable(getattr(join, "failed", None)):
            raise TypeError(f"join is what join_all, join_first or join_until gives; got {join!r}")
        self._join = join
        self._results = []
        self._failures = []

    # -- What it is

    @property
    def cancel_scope(self) -> CancelScope:
        """The scope of the block and of the tasks.  Its deadline ends the group as `cancel` does.

        `RuntimeError` before the block has begun, and where a task of another class has entered the group.
        """
        if self._scope is None:
            raise RuntimeError(f"{self!r} has no scope: {self._why_without_scope()}")
        return self._scope

    def _why_without_scope(self) -> str:
        if not self._entered:
            return "it has not been entered"
        return f"that needs a task of hocket's on a loop of hocket's, and {self._parent_task!r} has entered it"

    @property
    def results(self) -> list[Any]:
        """What the tasks have returned so far, in the order in which they ended.  Only of a group with ``join=``."""
        if self._join is None:
            raise RuntimeError(f"{self!r} keeps no results: give it join=, or keep the tasks")
        return list(self._results)

    @property
    def failures(self) -> list[BaseException]:
        """What the tasks have raised so far, in the order in which they ended.  Only of a group with ``join=``."""
        if self._join is None:
            raise RuntimeError(f"{self!r} keeps no failures: give it join=, or keep the tasks")
        return list(self._failures)

    @property
    def satisfied(self) -> bool:
        """True once ``join=`` had all that it asks for, and the group has ended the other tasks."""
        return self._satisfied

    def statistics(self) -> GroupStatistics:
        """How many tasks it runs and has run, and how many wait for room."""
        from hocket.primitives import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_group(self)

    # -- Tasks

    def create_task(self, coro: Any, **options: Any) -> Any:
        """Start *coro* as a task of this group; options as those of `asyncio.create_task`.

        `RuntimeError` if the block is over, not begun, or being cancelled; the coroutine is then closed, as far as this
        Python's asyncio does so (3.13).  `RuntimeError` also if there is a limit and no room.
        """
        if self._is_closed():
            self._refuse(coro)
        if self._line is not None and self._room <= 0:
            coro.close()
            raise RuntimeError(
                f"{self!r} runs as many tasks as its limit allows, {self._limit}; 'await group.spawn()' waits for room"
            )
        task = self._add(coro, options)
        self._room -= 1
        self._started += 1
        try:
            return task
        finally:
            # A task that has failed at once would be held by the traceback of its own exception.
            if not cython.compiled:
                del task

    def start_soon(self, function: Callable[..., Any], *args: Any, name: object = None) -> Any:
        """Call ``function(*args)`` in a task of this group; gives the task.  As in `anyio` and `trio`.

        Raises as `create_task` does, and `TypeError` if *function* is not one that gives a coroutine.
        """
        if self._is_closed():
            self._refuse(None)
        coro = called(function, args, None)
        return self.create_task(coro) if name is None else self.create_task(coro, name=name)

    def spawn(self, function: Callable[..., Any], *args: Any, name: object = None) -> Wait:
        """``await group.spawn(function, *args)`` is `start_soon` as soon as there is room; gives the task.

        So the tasks of a million items need not all be there at once.  Without a limit it does not wait::

            async with hocket.TaskGroup(limit=100) as group:
                for url in urls:
                    await group.spawn(fetch, url)

        Cancelled while it waits, it has not called *function*.  A task of the group that waits here is one of those
        that run: if all of them do so, nobody makes room.
        """
        return _spawning(self, (function, args, name))

    def start(self, function: Callable[..., Any], *args: Any, name: object = None) -> Any:
        """``await group.start(function, *args)`` calls ``function(*args, task_status=status)`` in a task, waits until
        that calls ``status.started(value)``, and gives the value.  As `trio.Nursery.start`.

        Until then the task belongs to the caller: it is cancelled with the caller, and what it raises comes out here.
        From then on it belongs to the group.  `RuntimeError` if it returns without having called it, and as for
        `create_task`.  Waits for room first if there is a limit::

            async def serve(port, *, task_status=hocket.TASK_STATUS_IGNORED):
                server = await hocket.start_server(answer, port=port)
                task_status.started(server.sockets[0].getsockname())
                await server.serve_forever()

            address = await group.start(serve, 8080)
        """
        return starting.start(self, function, args, name)

    def cancel(self, reason: object = None) -> None:
        """End the group: its tasks and the block are cancelled, and the block is left without an error.

        As ``group.cancel_scope.cancel(reason)``: every suspension raises until they have ended.  What they
        raise instead comes out as ever.  `RuntimeError` if there is no ``cancel_scope``.
        """
        self.cancel_scope.cancel(reason)

    def _make_room(self) -> None:
        """A place has become free: the first who waits for one gets it."""
        self._room += 1
        if self._line is not None and self._room > 0 and self._line.wake_next():
            self._room -= 1

    # -- For `start`

    def _launch(self, coro: Any, name: object, scope: CancelScope) -> Any:
        """A task inside of *scope*, which belongs to whoever has entered that."""
        if self._is_closed():
            coro.close()
            self._refuse(None)
        engine = self._loop
        task = engine._new_task(coro, name, None, False)
        scope._members = {task}
        task._be_inside(scope)
        return task

    def _adopt(self, task: Task, scope: CancelScope) -> None:
        """Take *task* over from *scope*."""
        self._tasks.add(task)
        self._started += 1
        move(task, scope, self._scope)  # type: ignore[arg-type]
        attend(self, task)
        if self._aborting:
            task.cancel()

    def _reserve(self) -> Wait:
        """``await group._reserve()`` waits for a place, and has it then.  Given back by `_end_start`."""
        return _spawning(self, None)

    def _begin_start(self) -> None:
        if self._is_closed():
            self._refuse(None)
        if self._scope is None or not isinstance(self._loop, Engine):
            raise RuntimeError(f"start() does not work in {self!r}: {self._why_without_scope()}")
        self._starting += 1

    def _end_start(self, place_free: bool) -> None:
        self._starting -= 1
        if place_free:
            self._make_room()
        self._tell_if_empty()

    # -- How they end

    def _task_over(self, task: Any) -> None:
        self._tasks.discard(task)
        self._make_room()
        self._tell_if_empty()

    def _task_succeeded(self, task: Any) -> None:
        if self._join is None:
            return
        result = task.result()
        self._results.append(result)
        if self._satisfied:
            return
        try:
            self._satisfied = bool(self._join.succeeded(result, len(self._results)))
        except BaseException as error:
            Group._task_failed(self, task, error)
            return
        if self._satisfied:
            if self._scope is not None:
                self._scope.cancel("the group has what it waited for")
            else:
                self._abort()

    def _task_failed(self, task: Any, error: BaseException) -> None:
        self._failed += 1
        if isinstance(error, Exception):
            if self._on_failure is not None:
                # The place of the one that has failed is free for another, before those who wait for one.
                self._room += 1
                try:
                    self._on_failure(task, error)
                    return
                except BaseException as raised:
                    error = raised
                finally:
                    self._room -= 1
            if self._join is not None:
                self._failures.append(error)
                if not self._join.failed(error):
                    return
        Group._task_failed(self, task, error)

    def _has_complaints(self) -> bool:
        if not self._failures or self._errors or self._satisfied or self._complained or self._is_cancelled():
            return False
        # None of them has ended the group, but they have left it without what it waited for.
        self._complained = True
        self._errors.extend(self._failures)
        return True


class Spawn(Wait):
    """`TaskGroup.spawn`.  ``_item`` is what is to be called; None: the caller sees to that."""

    __slots__ = ()

    _name = "TaskGroup.spawn"

    def _begin(self) -> Any:
        group: TaskGroup = self._owner
        line = group._line
        if line is None or (group._room > 0 and not line.is_waiting()):
            group._room -= 1
            return self._spawn()
        line.join(self)
        return self._suspend(running())

    def _resume(self) -> Any:
        group: TaskGroup = self._owner
        self._check_woken()
        group._line.leave(self)  # type: ignore[union-attr]
        return self._spawn()

    def _interrupt(self, error: BaseException) -> Any:
        group: TaskGroup = self._owner
        group._line.leave(self)  # type: ignore[union-attr]
        if self._woken:
            # It had a place already.
            group._make_room()
        raise error

    def _spawn(self) -> Any:
        group: TaskGroup = self._owner
        if self._item is None:
            return None
        function, args, name = self._item
        self._item = None
        # The place that create_task is about to take.
        group._room += 1
        try:
            self._result = group.start_soon(function, *args, name=name)
        except BaseException:
            group._room -= 1
            group._make_room()
            raise
        return None


def _spawning(group: TaskGroup, what: Any) -> Spawn:
    operation = Spawn.__new__(Spawn)
    operation._owner = group
    operation._item = what
    return operation  # type: ignore[no-any-return]


def report_failure(task: Any, error: Exception) -> None:
    """For ``TaskGroup(on_failure=hocket.report_failure)``: tells the loop's exception handler, which logs it."""
    task.get_loop().call_exception_handler({"message": f"{task!r} has failed", "exception": error, "task": task})
