"""`no_leaks`: a block of a program, or a test, that must not leave tasks behind."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from hocket.core import asyncio_private, scheduler
from hocket.observe.graph import Node, Picture

#: In seconds: how often ``async with no_leaks`` looks whether the last tasks have ended.
_PAUSE = 0.005


class LeakedTasks(AssertionError):
    """Raised by `no_leaks`.  ``tasks`` are those that were left over: what they wait for, and where they were made."""

    def __init__(self, tasks: Iterable[Node]) -> None:
        self.tasks = tuple(tasks)
        super().__init__(_told(self.tasks))


class no_leaks:
    """A block that must have ended every task that was started in it: else `LeakedTasks` is raised, with all of them.

    Tasks that have been told to end (`asyncio.Task.cancel`) count as ended, and so does the task that runs the block.
    What `asyncio.run` and other runners cancel at their end, because it was left over, counts as leaked.  *ignore* are
    patterns (`fnmatch`) of the names of tasks, or of their coroutines, that may stay.  An exception that leaves the
    block is passed on, with a note that says what was left over.

    As ``async with`` it waits up to *grace* seconds for the last tasks to end by themselves::

        with hocket.observe.no_leaks():
            hocket.run(main())

    In tests, there is a marker of pytest's: ``@pytest.mark.no_leaks``, with the same arguments.
    """

    def __init__(self, *, ignore: Iterable[str] = (), grace: float = 0.0) -> None:
        if isinstance(ignore, str):
            raise TypeError(f"ignore: expected several patterns, got one string: {ignore!r}")
        if not grace >= 0.0:
            raise ValueError(f"grace: expected seconds, 0 or more, got {grace!r}")
        self._ignore = tuple(ignore)
        self._grace = grace
        self._before: set[int] = set()
        self._left_over: dict[int, Node] = {}

    def __enter__(self) -> no_leaks:
        self._left_over = {}
        self._before = {task._number for task in scheduler.live_tasks()}
        asyncio_private.before_cancelling_all(self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio_private.not_before_cancelling_all(self._note)
        for loop in scheduler.loops():
            self._note(loop)
        self._before = set()
        left, self._left_over = self._left_over, {}
        if not left:
            return
        if error is None:
            raise LeakedTasks(left.values())
        error.add_note(_told(tuple(left.values())))

    async def __aenter__(self) -> no_leaks:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._wait()
        finally:
            self.__exit__(kind, error, traceback)

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._grace
        while isinstance(loop, scheduler.Scheduler) and self._found(loop) and loop.time() < until:  # noqa: ASYNC110 - any of many may be the last
            await asyncio.sleep(_PAUSE)

    def _note(self, loop: Any) -> None:
        """Take down what is left over on *loop*."""
        if isinstance(loop, scheduler.Scheduler):
            self._left_over |= self._found(loop)

    def _found(self, loop: scheduler.Scheduler) -> dict[int, Node]:
        current = asyncio.current_task() if asyncio_private.running_loop() is loop else None
        left = [
            task
            for task in loop.live()
            if task._number not in self._before and task is not current and not task.done() and not task.cancelling()
        ]
        if not left:
            return {}
        picture = Picture([loop])
        nodes = [picture.node(task._number) for task in left if task._number in picture.tasks]
        return {node.number: node for node in nodes if not self._may_stay(node)}

    def _may_stay(self, node: Node) -> bool:
        return any(
            fnmatch.fnmatchcase(name, pattern) for pattern in self._ignore for name in (node.name, node.coroutine)
        )


def _told(tasks: tuple[Node, ...]) -> str:
    count = "a task is" if len(tasks) == 1 else f"{len(tasks)} tasks are"
    return "\n".join([f"{count} left over", *("  " + line for task in tasks for line in str(task).splitlines())])
