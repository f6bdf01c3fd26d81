"""Waiting without a future: what a task waits for is the operation itself.

``await lock.acquire()`` has one object already, the operation, that knows who waits and for what.  So it is also what
the coroutine yields: the task registers with it, it stands in the lock's line of those who wait, and whoever frees the
lock puts the task back onto the ready ring through it.  No future, no callback, no search in a deque.

To anybody else a `Wait` that waits behaves as a future does: asyncio's own tasks, and loops that are not ours, get
along with it by ``add_done_callback``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any

from hocket.core.ready import Runnable
from hocket.core.scheduler import Scheduler
from hocket.native.operation import Operation

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.step import copy_context


class Wait(Operation):
    """An `Operation` that can be waited for, and that somebody wakes.

    It waits from `_suspend` until it is ``_woken`` or ``_cancelled``.  ``_waker`` is who is to go on then: a task of
    the loop, which is woken as itself, or a list of callbacks and their contexts.  ``_before`` and ``_behind`` are its
    neighbours in the `Line` in which it stands, and ``_waited`` is for how many ticks the task has waited, once it is
    woken.
    """

    __slots__ = ()

    # -- For the primitives

    def _suspend(self, loop: Any) -> Any:
        """Begin to wait; gives what `_begin` and `_resume` are to return."""
        self._loop = loop
        self._waker = None
        self._woken = False
        self._cancelled = False
        self._blocking = True
        self._waited = 0
        return self

    def _is_done(self) -> bool:
        return self._woken or self._cancelled

    def _wake(self) -> None:
        """Let the task go on."""
        self._woken = True
        if self._waker is not None:
            self._rouse()

    def _rouse(self) -> None:
        waker = self._waker
        self._waker = None
        if type(waker) is list:
            for callback, context in waker:
                self._loop.call_soon(callback, self, context=context)
            return
        scheduler: Scheduler = self._loop
        if scheduler._closed:
            scheduler._check_closed()
        if scheduler._debug:
            scheduler._check_thread()
        task: Runnable = waker
        # Since the end of its last step.
        if scheduler._queue.now > task.since:
            self._waited = scheduler._queue.now - task.since
        scheduler._queue.push(task)

    def _check_woken(self) -> None:
        """Refuse to go on before somebody has woken it: whoever resumes it does so by hand."""
        if not self._woken:
            if self._cancelled:
                raise self.outcome_to_raise()  # type: ignore[misc]
            raise RuntimeError("await wasn't used with future")

    def outcome_to_raise(self) -> BaseException | None:
        """What is to be raised where it waits."""
        if not self._cancelled:
            return None
        message = self._result
        self._result = None
        return asyncio.CancelledError() if message is None else asyncio.CancelledError(message)

    # -- As a future

    @property
    def _asyncio_future_blocking(self) -> bool | None:
        """As a future has it; None as long as this is rather a coroutine."""
        return self._blocking if self._loop is not None else None

    @_asyncio_future_blocking.setter
    def _asyncio_future_blocking(self, value: bool) -> None:
        self._blocking = value

    def get_loop(self) -> Any:
        """The loop on which it waits."""
        return self._loop

    def done(self) -> bool:
        """True unless it waits still."""
        return self._is_done()

    def cancelled(self) -> bool:
        """True if the wait was cancelled."""
        return self._cancelled

    def result(self) -> None:
        """None.  Raises `asyncio.CancelledError` if the wait was cancelled, `asyncio.InvalidStateError` if it is not
        over."""
        if self._cancelled:
            raise self.outcome_to_raise()  # type: ignore[misc]
        if not self._is_done():
            raise asyncio.InvalidStateError("Result is not ready.")

    def exception(self) -> None:
        """None; raises as `result` does."""
        self.result()

    def cancel(self, msg: Any = None) -> bool:
        """End the wait: the task that waits is woken with `asyncio.CancelledError`.  False if it is over already."""
        if self._is_done():
            return False
        self._cancelled = True
        self._result = msg
        if self._waker is not None:
            self._rouse()
        return True

    def add_done_callback(self, fn: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Call *fn* with this, through `call_soon`, once the wait is over."""
        if context is None:
            context = copy_context()
        if self._is_done():
            self._loop.call_soon(fn, self, context=context)
        elif type(self._waker) is list:
            self._waker.append((fn, context))
        else:
            self._waker = [(fn, context)]

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        """Remove every callback that equals *fn*; returns how many there were."""
        if type(self._waker) is not list:
            return 0
        kept = [(callback, context) for callback, context in self._waker if callback != fn]
        removed = len(self._waker) - len(kept)
        self._waker = kept
        return removed


class Line:
    """Those who wait, in the order of arrival: a list that each can leave at once, wherever he stands.

    For those who look from outside it is a sequence; what strangers append to it is woken as a future is.  It counts
    how many have come so far (``waits``), how many stood in it at most (``most``), and for how many ticks those waited
    who have been woken and have left (``waited``).
    """

    __slots__ = ("_count", "_first", "_last", "most", "waited", "waits")

    def __init__(self) -> None:
        self._first: Wait | None = None
        self._last: Wait | None = None
        self._count = 0
        self.most = 0
        self.waits = 0
        self.waited = 0

    def join(self, wait: Wait) -> None:
        """Put *wait*, which stands in no line, behind all others."""
        last = self._last
        if last is None:
            self._first = wait
        else:
            last._behind = wait
            wait._before = last
        self._last = wait
        self._count += 1
        self.waits += 1
        if self._count > self.most:
            self.most = self._count

    def leave(self, wait: Wait) -> None:
        """Take *wait* out, if it is in."""
        before = wait._before
        behind = wait._behind
        if before is not None:
            before._behind = behind
            wait._before = None
        elif self._first is wait:
            self._first = behind
        else:
            return
        if behind is not None:
            behind._before = before
            wait._behind = None
        else:
            self._last = before
        self._count -= 1
        self.waited += wait._waited

    def pop(self) -> Wait:
        """Take the first one out.  There must be one."""
        first: Any = self._first
        self.leave(first)
        return first  # type: ignore[no-any-return]

    def wake_next(self) -> bool:
        """Wake the first that has not been woken yet; he stays in line.  False if there is none."""
        wait = self._first
        while wait is not None:
            if not wait._is_done():
                wait._wake()
                return True
            wait = wait._behind
        return False

    def is_waiting(self) -> bool:
        """True if there is somebody who has not been cancelled."""
        wait = self._first
        while wait is not None:
            if not wait._cancelled:
                return True
            wait = wait._behind
        return False

    # -- For those who look from outside

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        return iter(_members(self))

    def __getitem__(self, index: int) -> Any:
        return _members(self)[index]

    def append(self, future: Any) -> None:
        """Put a future at the end; its turn is told by ``set_result``."""
        self.join(_strange(future))

    def remove(self, future: Any) -> None:
        """Take a future out again, or raise `ValueError`."""
        wait = self._first
        while wait is not None:
            if wait is future or (type(wait) is _Stranger and wait._item is future):
                self.leave(wait)
                return
            wait = wait._behind
        raise ValueError(f"{future!r} is not in line")


class _Stranger(Wait):
    """A future that somebody has put into a line from outside."""

    __slots__ = ()

    def _is_done(self) -> bool:
        return bool(self._item.done())

    def _wake(self) -> None:
        self._item.set_result(None)


def _strange(future: Any) -> _Stranger:
    stranger = _Stranger.__new__(_Stranger)
    stranger._stage = -1  # Nobody is to await it.
    stranger._item = future
    return stranger  # type: ignore[no-any-return]


def _members(line: Line) -> list[Any]:
    members: list[Any] = []
    wait = line._first
    while wait is not None:
        members.append(wait._item if type(wait) is _Stranger else wait)
        wait = wait._behind
    return members
