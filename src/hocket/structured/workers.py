"""`WorkerPool`: workers that live as long as the pool, and jobs that wait for them in a bounded line."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hocket.primitives.locks import Event
from hocket.primitives.taskgroups import TaskGroup
from hocket.structured import sources
from hocket.structured.amap import count
from hocket.structured.channels import ReceiveChannel, open_channel
from hocket.structured.errors import ClosedResourceError

if TYPE_CHECKING:
    from hocket.structured.statistics import WorkerPoolStatistics


class WorkerPool:
    """Runs *fn* for whoever submits arguments to it, by so many *workers*, while *capacity* jobs may wait for one.

    The pool works inside of its ``async with`` block.  At the end of that it takes no more jobs, deals with those that
    have been submitted, and ends its workers.  If the block is left by an exception, or cancelled, so are they::

        async with hocket.WorkerPool(resize, workers=4, capacity=100) as pool:
            async for upload in uploads:
                await pool.submit(upload)               # waits while 100 are waiting
            thumbnail = await pool.call(first_upload)   # and this one's result is wanted

    A job that was submitted and raises ends the pool as a task ends its `TaskGroup`: the others and the block are
    cancelled, and the exceptions come out in an `ExceptionGroup`.  What a job of `call` raises is its caller's, and the
    pool goes on.  Each job runs in a task of its own, and in a copy of the context of who has submitted it.

    With a *resource*, a function that gives an asynchronous context manager, each worker enters one of its own for as
    long as it lives, and *fn* gets its value as first argument: a connection a worker.

    Raises `TypeError` and `ValueError` for numbers that cannot be meant: less than one worker, a capacity below 0.
    """

    def __init__(
        self,
        fn: Callable[..., Awaitable[Any]],
        *,
        workers: int,
        capacity: int,
        resource: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"WorkerPool expected a coroutine function, got {fn!r}")
        if resource is not None and not callable(resource):
            raise TypeError(
                f"WorkerPool expected a function that gives a context manager as resource, got {resource!r}"
            )
        count(workers, "workers")
        self._fn = fn
        self._workers = workers
        self._resource = resource
        self._sender, self._receiver = open_channel(capacity)
        self._group: TaskGroup | None = None
        self._finished = False
        self._over = False
        # The outcomes that somebody waits for.
        self._wanted: set[asyncio.Future[Any]] = set()
        self._idle = Event()
        self._idle.set()
        self._submitted = 0
        self._busy = 0
        self._done = 0
        self._failed = 0
        self._cancelled = 0

    def __repr__(self) -> str:
        state = "finished" if self._finished else "at work" if self._group is not None else "not entered"
        name = getattr(self._fn, "__qualname__", repr(self._fn))
        return f"<WorkerPool of {name} [{state}, {self._busy} of {self._workers} busy, {self._left()} left]>"

    # -- Jobs

    async def submit(self, *args: Any, **options: Any) -> None:
        """Have a worker call the function with these arguments; waits for room in the line, and not for the job.

        Raises `RuntimeError` before the block, `ClosedResourceError` when it is over, `BrokenResourceError` if the pool
        is ending because of an exception.  If it raises, `asyncio.CancelledError` included, the job was not submitted.
        """
        await self._send(_Job(self._fn, args, options, None))

    def submit_nowait(self, *args: Any, **options: Any) -> None:
        """As `submit`, at once; raises `WouldBlock` if the line is full."""
        self._check()
        self._sender.send_nowait(_Job(self._fn, args, options, None))
        self._count()

    async def call(self, *args: Any, **options: Any) -> Any:
        """Have a worker call the function with these arguments, and give the result or raise what it raises.

        Raises as `submit` does; also `ClosedResourceError` if the pool ends before it was this job's turn.  Cancelling
        the call cancels the job, or takes it out of the line; the pool sees to its end.
        """
        outcome = asyncio.get_running_loop().create_future()
        await self._send(_Job(self._fn, args, options, outcome))
        self._wanted.add(outcome)
        try:
            return await outcome
        finally:
            self._wanted.discard(outcome)

    async def join(self) -> None:
        """Wait until every job that has been submitted by now, or is meanwhile, is done."""
        while self._left() and not self._over:
            await self._idle.wait()

    def statistics(self) -> WorkerPoolStatistics:
        """How many jobs wait, run and have ended, and who waits for room."""
        from hocket.structured import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_worker_pool(self)

    async def _send(self, job: _Job) -> None:
        self._check()
        # Before it is in the line: a worker may be done with it before this task goes on.
        self._count()
        try:
            await self._sender.send(job)
        except BaseException:
            self._submitted -= 1
            self._look_around()
            raise

    def _check(self) -> None:
        if self._finished:
            raise ClosedResourceError(f"{self!r}: the block of the pool is over")
        if self._group is None:
            raise RuntimeError(f"{self!r}: the pool works inside of its block only: async with ... as pool")

    def _count(self) -> None:
        self._submitted += 1
        self._idle.clear()

    def _left(self) -> int:
        return self._submitted - self._done - self._failed - self._cancelled

    def _look_around(self) -> None:
        if not self._left():
            self._idle.set()

    # -- Workers

    async def __aenter__(self) -> WorkerPool:
        if self._group is not None or self._finished:
            raise RuntimeError(f"{self!r} has been entered already")
        group = TaskGroup()
        await group.__aenter__()
        self._group = group
        name = getattr(self._fn, "__qualname__", "jobs")
        for number in range(1, self._workers + 1):
            group.create_task(self._work(self._receiver.clone()), name=f"worker {number} of {name}")
        # From now on only the workers hold the other end: when they are gone, to submit is an error.
        self._receiver.close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        group: Any = self._group
        self._finished = True
        self._sender.close()
        try:
            ended: bool | None = await group.__aexit__(kind, error, traceback)
            return ended
        finally:
            self._over = True
            self._idle.set()
            for outcome in self._wanted:
                if not outcome.done():
                    message = f"{self!r}: the pool has ended before it was the turn of this job"
                    outcome.set_exception(ClosedResourceError(message))

    async def _work(self, receiver: ReceiveChannel) -> None:
        with receiver:
            async with nullcontext() if self._resource is None else self._resource() as value:
                extra = () if self._resource is None else (value,)
                async for job in receiver:
                    await self._do(job, extra)

    async def _do(self, job: _Job, extra: tuple[Any, ...]) -> None:
        self._busy += 1
        try:
            await job.run(extra)
        except asyncio.CancelledError:
            self._cancelled += 1
            raise
        except BaseException:
            self._failed += 1
            raise
        else:
            if job.failed:
                self._failed += 1
            elif job.was_cancelled():
                self._cancelled += 1
            else:
                self._done += 1
        finally:
            self._busy -= 1
            self._look_around()


class _Job:
    """Arguments that wait for a worker; ``outcome`` is the future of whoever wants the result, or None."""

    __slots__ = ("args", "context", "failed", "fn", "options", "outcome", "task")

    def __init__(self, fn: Any, args: tuple[Any, ...], options: dict[str, Any], outcome: Any) -> None:
        self.fn = fn
        self.args = args
        self.options = options
        self.outcome = outcome
        self.context = contextvars.copy_context()
        self.failed = False
        self.task: Any = None

    def was_cancelled(self) -> bool:
        return self.outcome is not None and bool(self.outcome.cancelled())

    async def run(self, extra: tuple[Any, ...]) -> None:
        """Do it; raises what must end the pool."""
        outcome = self.outcome
        if outcome is None:
            await self._start(extra)
            return
        if outcome.done():
            return  # The caller was cancelled while this was in the line.
        outcome.add_done_callback(self._cancel)
        try:
            result = await self._start(extra)
        except asyncio.CancelledError:
            worker: Any = asyncio.current_task()
            if not outcome.done():
                outcome.cancel()
            if worker.cancelling():
                raise
        except Exception as error:
            self.failed = True
            if not outcome.done():
                outcome.set_exception(error)
            else:
                _report(error)
        else:
            if not outcome.done():
                outcome.set_result(result)
        finally:
            # An exception's traceback holds this frame, and the future the exception: a cycle.
            del outcome

    def _start(self, extra: tuple[Any, ...]) -> Any:
        made = self.context.run(self.fn, *extra, *self.args, **self.options)
        if not asyncio.iscoroutine(made):
            made = sources.awaited(made)
        self.task = asyncio.get_running_loop().create_task(made, context=self.context)
        return self.task

    def _cancel(self, outcome: Any) -> None:
        if outcome.cancelled() and self.task is not None:
            self.task.cancel()


def _report(error: Exception) -> None:
    """Of a job that has failed after its caller was cancelled."""
    context = {"message": "a job of a WorkerPool has failed while it was cancelled", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
