"""Tasks that work for one iterator, and end with it: what `amap`, `merge` and the like have in common.

A `Stream` is what the program holds; its `Crew` is the tasks at work for it, which know the crew and not the stream.
So a stream that nobody holds any more is garbage, and ends its crew.  A crew whose task fails is ended, too: the others
are cancelled, and once all of them have ended, whoever iterates gets the exceptions.

How a crew ends depends on how the stream is used.  In an ``async with`` block it has ended when the block has.  Without
one, whoever is cancelled while he waits for the next item is the last who could see to it: the crew is ended before his
`CancelledError` goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hocket.core.engine import Engine
from hocket.core.future import Watcher
from hocket.core.task import Task
from hocket.core.wait import Line, Wait
from hocket.native.freelist import keep_spare
from hocket.primitives.bound import LoopBound

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.future import watch
    from hocket.native.operation import given
    from hocket.native.step import copy_context, copy_of
    from hocket.primitives.bound import current_task, running, task_engine


class Crew(LoopBound):
    """The tasks that work for a stream.

    ``_begun`` once they have been started; ``_ending`` once they are to end early.  ``_entered`` is True in and after
    an ``async with`` block of the stream, ``_closed`` once that has ended, or somebody has called `Stream.aclose`.
    ``_errors`` are those that nobody has been told of yet.
    """

    def __init__(self, title: str, launch: Callable[[Crew], object] | None = None, plain: bool = False) -> None:
        self._init_crew(title)
        self._launcher: Callable[[Crew], object] | None = launch
        self._plain = plain

    def _init_crew(self, title: str) -> None:
        self._title = title
        # Starts the first tasks; it must not know the stream.
        self._launcher = None
        # Whether an exception that is the only one is raised as it is.
        self._plain = False
        self._loop = None
        self._engine: Engine | None = None
        self._context: Any = None
        self._tasks: set[Any] = set()
        self._errors: list[BaseException] = []
        # Who waits until no task is left.
        self._closers = Line()
        self._begun = False
        self._ending = False
        self._entered = False
        self._closed = False
        self._abandoned = False

    # -- For streams written in Python

    def begin(self) -> bool:
        """Take up the running loop; False if that has been done."""
        return self._begin()

    def start(self, coro: Any, name: str | None = None) -> Any:
        """Run *coro* as one of the crew."""
        task = self._new(coro, name, False)
        self._adopt(task)
        return task

    def abort(self) -> None:
        """Cancel every task; `close` also waits until they have ended."""
        self._abort()

    def close(self, error: BaseException | None = None) -> Wait:
        """``await crew.close()`` ends every task and waits for that; raises what they raise meanwhile.

        *error* is what it is done for: what tasks raise comes out together with it, or is reported if that is no
        `Exception` but a cancellation.
        """
        return _closing(self, None, error, True)

    def report(self, error: BaseException) -> None:
        """Tell the loop's exception handler of what nobody else will be told."""
        self._report(error)

    def finish(self) -> Wait:
        """``await crew.finish()`` waits until every task has ended, and raises what they have raised."""
        return _closing(self, None, None, False)

    def fail(self, error: BaseException) -> None:
        """End every task because of *error*."""
        self._fail(error)

    @property
    def entered(self) -> bool:
        """True if an ``async with`` block sees to the end."""
        return self._entered

    @property
    def ending(self) -> bool:
        """True once the tasks have been told to end."""
        return self._ending

    @property
    def closed(self) -> bool:
        """True once the stream has been closed: there is nothing more to iterate."""
        return self._closed

    # -- Tasks

    def _begin(self) -> bool:
        if self._begun:
            return False
        self._begun = True
        loop = running()
        self._bind(loop)
        self._engine = task_engine(loop)
        self._context = copy_context()
        self._launch()
        return True

    def _launch(self) -> None:
        """Start what begins by itself."""
        launcher = self._launcher
        if launcher is not None:
            self._launcher = None
            launcher(self)

    def _new(self, coro: Any, name: Any, eager: bool) -> Any:
        # As long as nobody makes the loop's tasks in another way.
        engine = self._engine
        if engine is not None:
            return engine._new_task(coro, name, copy_of(self._context), eager)
        loop: Any = self._loop
        return loop.create_task(coro, name=name, context=copy_of(self._context))

    def _adopt(self, task: Any) -> None:
        self._tasks.add(task)
        if self._engine is not None and type(task) is Task:
            _attend(self, task)
        else:
            task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: Any) -> None:
        self._tasks.discard(task)
        self._task_over(task)
        self._look_around()

    def _task_over(self, task: Any) -> None:
        error = self._error_of(task)
        if error is not None:
            self._fail(error)

    def _error_of(self, task: Any) -> BaseException | None:
        """What went wrong with *task*, which is done.  That it was cancelled by the crew is nothing."""
        if type(task) is Task:
            ours = task
            if not ours._cancelled:
                ours._unretrieved = False
                return ours._exception
        elif not task.cancelled():
            error: BaseException | None = task.exception()
            return error
        return None if self._ending else asyncio.CancelledError(f"a task of {self._title} was cancelled")

    def _look_around(self) -> None:
        """A task has ended.  If it was the last, others may be waiting for that."""
        if self._tasks:
            return
        while self._closers._first is not None:
            wait = self._closers.pop()
            if not wait._is_done():
                wait._wake()
        self._all_ended()

    def _all_ended(self) -> None:
        """No task is left."""

    def _fail(self, error: BaseException) -> None:
        if self._abandoned:
            self._report(error)
        else:
            self._errors.append(error)
        self._abort()

    def _abort(self) -> None:
        if self._ending:
            return
        self._ending = True
        for task in list(self._tasks):
            task.cancel()

    def _await_end(self, wait: Wait) -> Any:
        """Have *wait* wait until no task is left, now that all are cancelled: no scope could make that any faster."""
        task = current_task(self._loop)
        if type(task) is Task:
            ours = task
            ours._stop_listening()
        return self._queue_up(self._closers, wait)

    def _report(self, error: BaseException) -> None:
        """Tell those who look after a loop's errors of one that nobody else will be told of."""
        loop: Any = self._loop
        loop.call_exception_handler({"message": f"{self._title} has ended with an exception", "exception": error})

    def _take_failure(self) -> BaseException | None:
        """All that has gone wrong, to be raised once; None: nothing."""
        errors = self._errors
        if not errors:
            return None
        self._errors = []
        return self._failure(errors)

    def _failure(self, errors: list[BaseException]) -> BaseException:
        if self._plain and len(errors) == 1:
            return errors[0]
        return BaseExceptionGroup(f"unhandled errors in {self._title}", errors)

    def _shut(self) -> None:
        """There is nothing more to iterate; what has not begun will not begin any more."""
        self._closed = True
        self._begun = True
        self._launcher = None

    def _abandon(self) -> None:
        """Nobody will ever ask for anything again."""
        self._abandoned = True
        for error in self._errors:
            self._report(error)
        self._errors = []
        self._abort()

    def _waiting_task(self) -> Any:
        """The task that waits for the crew, or None."""
        wait = self._closers._first
        return None if wait is None or type(wait._waker) is list else wait._waker


class _Member(Watcher):
    """Tells a crew that one of its tasks is done."""

    __slots__ = ("_crew",)

    _crew: Crew

    def run(self) -> None:
        crew = self._crew
        task = self._watched
        crew._tasks.discard(task)
        crew._task_over(task)
        if not crew._tasks:
            crew._look_around()

    def waiting_task(self) -> Any:
        return self._crew._waiting_task()


def _attend(crew: Crew, task: Task) -> None:
    watcher = _Member.__new__(_Member)
    watcher._crew = crew
    watch(task, watcher)


class Close(Wait):
    """Waits until no task of a crew is left; with ``_quiet`` they are cancelled first.

    ``_error`` is what has ended the block of the stream, ``_cancellation`` what is to be raised when the wait is over.
    """

    __slots__ = ("_cancellation", "_error")

    _cancellation: BaseException | None
    _error: BaseException | None

    _name = "Stream.aclose"

    def _begin(self) -> Any:
        crew: Crew = self._owner
        if self._quiet:
            crew._abort()
        return self._wait_or_end()

    def _resume(self) -> Any:
        self._check_woken()
        return self._wait_or_end()

    def _interrupt(self, error: BaseException) -> Any:
        crew: Crew = self._owner
        crew._closers.leave(self)
        if not isinstance(error, asyncio.CancelledError):
            raise error
        crew._abort()
        if self._cancellation is None:
            self._cancellation = error
        error = None  # type: ignore[assignment]
        return self._wait_or_end()

    def _wait_or_end(self) -> Any:
        crew: Crew = self._owner
        if crew._tasks:
            return crew._await_end(self) if crew._ending else crew._queue_up(crew._closers, self)
        raised = self._to_raise(crew)
        self._error = None
        self._cancellation = None
        if raised is None:
            return None
        try:
            raise raised
        finally:
            raised = None

    def _to_raise(self, crew: Crew) -> BaseException | None:
        failure = crew._take_failure()
        error = self._error if self._cancellation is None else self._cancellation
        if failure is None or error is None:
            return failure if self._cancellation is None else self._cancellation
        if isinstance(error, Exception):
            errors = failure.exceptions if isinstance(failure, BaseExceptionGroup) else (failure,)
            return BaseExceptionGroup(f"unhandled errors in {crew._title}", [error, *errors])
        # What ends the block must go on as it is: a cancellation.
        crew._report(failure)
        return self._cancellation


def _closing(crew: Crew, stream: Any, error: BaseException | None, aborts: bool) -> Close:
    operation = Close.__new__(Close)
    operation._owner = crew
    # As long as somebody waits for its end, a stream is not garbage.
    operation._item = stream
    operation._quiet = aborts
    operation._error = error
    operation._cancellation = None
    return operation  # type: ignore[no-any-return]


class Stream:
    """An asynchronous iterator that tasks of its own work for.

    In an ``async with`` block all of them have ended when the block has, however it ends: what has not been taken by
    then is dropped.  A plain ``async for`` will do where the loop runs to its end, or ends with an error or a
    cancellation of the iteration itself; if the loop is left by ``break`` or by an exception of its body, the tasks are
    cancelled, and end shortly afterwards.
    """

    _crew: Crew

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def __aiter__(self) -> Any:
        return self

    def __aenter__(self) -> Any:
        crew = self._crew
        crew._entered = True
        crew._begin()
        return given(self)

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        self._crew._shut()
        return _closing(self._crew, self, error, True)

    def aclose(self) -> Any:
        """``await stream.aclose()`` ends every task and waits for that; then there is nothing more to iterate.

        If tasks raise while they are cancelled, those exceptions come out here, in an `ExceptionGroup`.
        """
        self._crew._shut()
        return _closing(self._crew, self, None, True)

    def drain(self) -> Any:
        """``await stream.drain()`` iterates to the end, for the sake of what happens meanwhile; gives the number of
        items."""
        from hocket.structured import sources

        return sources.drained(self)

    def __repr__(self) -> str:
        crew = self._crew
        state = "ending" if crew._ending else "begun" if crew._begun else "not begun"
        return f"<{type(self).__name__} {crew._title} [{state}, {len(crew._tasks)} tasks]>"

    def __del__(self) -> None:
        crew: Crew | None = self._crew
        if crew is None or (not crew._tasks and not crew._errors) or crew._loop is None:
            return
        # The garbage collector may have come in the middle of anything, and in another thread.
        try:
            crew._loop.call_soon_threadsafe(_abandon, crew)
        except RuntimeError:
            pass  # The loop is closed.


def _abandon(crew: Crew) -> None:
    crew._abandon()


if not cython.compiled:
    # As C attributes do, it has a value from the start: one that could not be made is garbage, too.
    Stream._crew = None  # type: ignore[assignment]

keep_spare(_Member, 1024)
