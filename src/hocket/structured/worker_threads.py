"""Threads for calls that block, kept for a while when their call is over.

To start a thread costs more than most calls that one is used for, so a thread whose call has ended waits some seconds
for the next.  Nothing here bounds how many there are: that is for the limiter of whoever asks.

They are daemons.  A thread that hangs in the kernel cannot be ended by anybody, and must not keep a process from ending
that has nothing else to do; whoever needs the call to be over waits for it.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

#: For how many seconds a thread waits for its next call.
IDLE_SECONDS = 10.0

_numbers = itertools.count(1)
_here = threading.local()


class Job(concurrent.futures.Future[Any]):
    """A call in a thread, and its outcome.

    ``host`` is for whoever made it: what `from_thread` goes by inside of the call.
    """

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], context: Context, host: Any) -> None:
        super().__init__()
        self.function = function
        self.host = host
        self._args = args
        self._context = context

    def work(self, over: Callable[[Job], object]) -> None:
        """Make the call, in this thread.  *over* is called when it is over, and nobody knows yet."""
        if not self.set_running_or_notify_cancel():
            over(self)
            return
        _here.job = self
        try:
            result = self._context.run(self.function, *self._args)
        except BaseException as error:
            _here.job = None
            over(self)
            self.set_exception(error)
            # The traceback holds this frame, which would hold the exception: a cycle.
            self = None  # type: ignore[assignment]
        else:
            _here.job = None
            over(self)
            self.set_result(result)

    def interrupt(self, message: Any) -> None:
        """The task that waits is to be cancelled: let the thread know."""
        self.host.interrupt(message)


def job_here() -> Job | None:
    """The call that this thread makes; None if it is none of these threads."""
    return getattr(_here, "job", None)


class _Worker:
    """A thread, which waits for calls by a lock that is released to wake it."""

    def __init__(self, idle: dict[_Worker, None], busy: dict[Any, int], job: Job) -> None:
        self._idle = idle
        self._busy = busy
        self._job: Job | None = job
        self._wake = threading.Lock()
        self._wake.acquire()
        threading.Thread(target=self._run, name=f"hocket-worker-{next(_numbers)}", daemon=True).start()

    def give(self, job: Job) -> None:
        self._job = job
        self._wake.release()

    def _run(self) -> None:
        while True:
            job, self._job = self._job, None
            if job is not None:
                self._busy[job] = threading.get_ident()
                job.work(self._rest)
            job = None
            if not self._wake.acquire(timeout=IDLE_SECONDS):
                if self._idle.pop(self, self) is None:
                    return  # Nobody has chosen it meanwhile, and nobody will.
                self._wake.acquire()  # Somebody has, and wakes it: this is to be heard now, not after the next call.

    def _rest(self, job: Job) -> None:
        # Before the outcome is known: who hears of it may at once have the next call.
        self._busy.pop(job, None)
        self._idle[self] = None


class WorkerThreads:
    """All such threads of the process.  `start` may be called from any thread."""

    def __init__(self) -> None:
        self._idle: dict[_Worker, None] = {}
        self._busy: dict[Any, int] = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        # The threads of the parent are not here.
        self._idle.clear()
        self._busy.clear()

    def running(self) -> list[tuple[Any, int]]:
        """The calls under way, each with the number of its thread."""
        return list(self._busy.items())

    def start(self, job: Job) -> None:
        """Have a thread make the call.  Raises `RuntimeError` if none can be started."""
        try:
            worker, _ = self._idle.popitem()
        except KeyError:
            _Worker(self._idle, self._busy, job)
        else:
            worker.give(job)


threads = WorkerThreads()
