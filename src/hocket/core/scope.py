"""`CancelScope`: a block of code that can be cancelled.  What that is to the tasks inside is in
`hocket.core.cancellation`."""

from __future__ import annotations

import asyncio
import math
import sys
from types import TracebackType
from typing import Any

from hocket.core import anyio_private
from hocket.core.cancellation import Interruptible, Scope
from hocket.core.handles import TimerHandle
from hocket.core.reasons import is_of_scope
from hocket.core.wakeups import NO_CONTEXT
from hocket.native.freelist import keep_spare

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.cancellation import felt
    from hocket.core.scheduler import running_here, running_task

_FOREVER = math.inf
_modules = sys.modules


class CancelScope(Scope):
    """A block of code that can be cancelled, with a deadline if wanted.  Semantics of `trio.CancelScope`.

    *deadline* is the loop time, in seconds, at which the scope cancels itself.  With *shield* the block is not touched
    by what is cancelled around it (it can be cancelled itself, and by its own deadline)::

        with hocket.CancelScope(deadline=loop.time() + 5) as scope:
            await fetch(url)
        if scope.cancelled_caught:
            ...

    Once cancelled, by `cancel` or by the deadline, the scope raises `asyncio.CancelledError` at every suspension inside
    of it: in the task that entered it and in the tasks of every `TaskGroup` in it; `why_cancelled` tells why.  That
    goes on until the block is left: who has to wait while cleaning up does so inside of a shielded scope, with a
    deadline of its own::

        try:
            await serve(connection)
        finally:
            with hocket.move_on_after(2, shield=True):
                await connection.goodbye()

    The scope that catches is the outermost one that is cancelled and whose cancellation reaches the block; its
    ``cancelled_caught`` is true then, and the program goes on behind it.  A cancellation by `Task.cancel` it lets
    through, with everything that belongs to that: `asyncio.timeout` and `asyncio.TaskGroup` work inside and outside.

    A task that was started by a bare ``create_task`` is not inside of any scope.  A task outside, for which somebody
    inside waits by ``await task``, is cancelled once, as by `Task.cancel`.

    A scope is entered once, in a `hocket.Task`, and left in that task, in the reverse order of entering: otherwise
    `RuntimeError`.  `TypeError` or `ValueError` for a deadline that is no number.  For the loop's own thread.
    """

    def __init__(self, *, deadline: float = math.inf, shield: bool = False) -> None:
        self._deadline = _checked(deadline)
        self._shield = bool(shield)
        if cython.compiled:
            return
        self._caught = False
        self._fails = False
        self._seconds = 0.0
        self._left = False
        self._timer: Any = None
        self._cancelling = 0

    # -- What it is

    @property
    def deadline(self) -> float:
        """The loop time, in seconds, at which the scope cancels itself; `math.inf`: never.  May be set at any time."""
        return self._deadline

    @deadline.setter
    def deadline(self, value: float) -> None:
        self._deadline = _checked(value)
        if self._host is not None:
            self._unset_timer()
            self._set_timer(self._host)

    @property
    def shield(self) -> bool:
        """True if what is cancelled around the scope does not reach into it.  May be set at any time."""
        return self._shield

    @shield.setter
    def shield(self, value: bool) -> None:
        if self._shield == bool(value):
            return
        self._shield = bool(value)
        self._tell_everybody()

    @property
    def cancel_called(self) -> bool:
        """True once the scope was cancelled, by `cancel` or by its deadline.

        A deadline that has passed counts at once, so that code that never suspends can look.
        """
        if not self._cancelled and self._host is not None and self._deadline < _FOREVER:
            self._look_at_the_clock(self._host)
        return self._cancelled

    def _look_at_the_clock(self, task: Interruptible) -> None:
        scheduler: Any = task._scheduler
        if self._deadline <= scheduler._now():
            self._expire()

    @property
    def cancelled_caught(self) -> bool:
        """True if the block was cancelled and the scope has caught that; False as long as it has not been left."""
        return self._caught

    @property
    def reason(self) -> object:
        """What `cancel` was given first."""
        return self._reason

    @property
    def canceller(self) -> str | None:
        """The name of the task that has cancelled it, ``"deadline"``, or None: nobody, or a callback."""
        return self._canceller

    def __repr__(self) -> str:
        state = "left" if self._left else "active" if self._host is not None else "new"
        info = [type(self).__name__, state]
        if self._cancelled:
            info.append(self._describe())
        elif self._deadline < _FOREVER:
            info.append(f"deadline={round(self._deadline, 3)}")
        if self._shield:
            info.append("shield")
        return f"<{' '.join(info)}>"

    # -- Cancelling

    def cancel(self, reason: object = None) -> None:
        """Cancel everything that is inside.  *reason* is for `why_cancelled`, and for the words of the exception.

        The first call counts.  A scope that was cancelled before it is entered cancels its block at the first
        suspension.
        """
        if self._cancelled:
            return
        self._cancelled = True
        self._reason = reason
        task = running_task()
        if task is not None:
            self._canceller = task.get_name()
        self._tell_everybody()

    def _expire(self) -> None:
        """The deadline has passed."""
        if self._cancelled or self._left:
            return
        self._cancelled = True
        self._canceller = "deadline"
        self._tell_everybody()

    def _tell_everybody(self) -> None:
        """The scope has changed: what does that mean for the tasks that are inside?"""
        host = self._host
        if host is None:
            return
        if self._members is None and host._scope is self:
            host._look_again()
            return
        for task in _inside(self):
            task._look_again()

    # -- The block

    def __enter__(self) -> CancelScope:
        if self._host is not None or self._left:
            raise RuntimeError(f"{self!r} has been entered before: a scope is for one block")
        task = running_task()
        if task is None:
            raise RuntimeError(_outside())
        self._enter(task)
        return self

    def _enter(self, task: Interruptible) -> None:
        self._host = task
        self._parent = task._scope
        if anyio_private.BACKEND in _modules:
            self._beside = anyio_private.scope_of(task)
        self._cancelling = task._num_cancels_requested
        task._scope = self
        if task._cancellation:
            self._cancelling = task._natively_cancelled()
        if self._deadline < _FOREVER:
            self._set_timer(task)
        if self._shield or self._cancelled:
            task._look_again()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._host is None:
            raise RuntimeError(f"{self!r} is not being left: it was not entered")
        return self._exit(self._host, error)

    def _exit(self, host: Interruptible, error: BaseException | None) -> bool:
        if running_task() is not host:
            raise RuntimeError(f"{self!r} was entered in {host!r} and must be left there")
        parent = self._parent
        if host._scope is not self:
            self._take_out(host)
            raise RuntimeError(f"{self!r} is left before a scope that was entered in it: they must be nested")
        host._scope = parent
        self._parent = None
        self._beside = None
        self._host = None
        self._left = True
        if self._timer is not None:
            self._unset_timer()
        if not self._cancelled and not self._shield:
            return False
        host._look_again()
        if not self._cancelled or error is None or (not self._shield and felt(host, parent) is not None):
            return False
        caught: bool = self._catch(host, error)
        return caught

    def _end_block(self, error: BaseException | None) -> bool:
        """`__exit__` for a task group: programs that are made for asyncio may leave one anywhere."""
        host = self._host
        if host is None:
            return False
        if running_task() is not host or host._scope is not self:
            self._take_out(host)
            return False
        caught: bool = self._exit(host, error)
        return caught

    def _abandon(self) -> None:
        """Leave, if that has not happened: the coroutine that was inside has been closed."""
        if self._host is not None:
            self._take_out(self._host)

    def _catch(self, host: Interruptible, error: BaseException) -> bool:
        try:
            if isinstance(error, asyncio.CancelledError):
                if host._natively_cancelled() > self._cancelling:
                    # By Task.cancel() as well, which is somebody else's affair.
                    if is_of_scope(error):
                        raise asyncio.CancelledError(*error.args)
                    return False
            elif isinstance(error, BaseExceptionGroup):
                ours, rest = error.split(is_of_scope)
                if ours is None:
                    return False
                if rest is not None:
                    self._caught = True
                    raise rest
            else:
                return False
            self._caught = True
            if self._fails and self._canceller == "deadline":
                raise TimeoutError(self._too_late()) from error
            return True
        finally:
            # The traceback holds this frame, and would hold the exception: a cycle.
            error = None  # type: ignore[assignment]

    def _too_late(self) -> str:
        if self._seconds < 0.0:
            return "the deadline has passed"
        return f"not done within {self._seconds:g} seconds"

    def _take_out(self, host: Interruptible) -> None:
        """Leave, wherever among the scopes of its task the scope stands."""
        inner = host._scope
        if inner is self:
            host._scope = self._parent
        else:
            while inner is not None and inner._parent is not self:
                inner = inner._parent
            if inner is not None:
                inner._parent = self._parent
        self._parent = None
        self._host = None
        self._left = True
        self._unset_timer()
        host._look_again()

    # -- The deadline

    def _set_timer(self, task: Interruptible) -> None:
        scheduler: Any = task._scheduler
        if self._cancelled or self._deadline >= _FOREVER:
            return
        if self._deadline <= scheduler._now():
            self._expire()
            return
        if scheduler._timers_replaced:
            self._timer = task._loop.call_at(self._deadline, self._expire)
            return
        timer = ScopeTimer.__new__(ScopeTimer)
        if not cython.compiled:
            timer._init_timer(self._deadline, None, (), scheduler, NO_CONTEXT, False)
        # Nothing else of a handle is looked at: it has nothing to call.
        timer._loop = scheduler
        timer._due = self._deadline
        timer._index = -1
        timer._scope = self
        self._timer = timer
        scheduler._timers.push(timer)

    def _unset_timer(self) -> None:
        timer = self._timer
        self._timer = None
        if type(timer) is ScopeTimer:
            ours = timer
            ours._scope = None
            if ours._heap is not None:
                ours._heap.remove(ours)
            ours._cancelled = True
        elif timer is not None:
            timer.cancel()


class ScopeTimer(TimerHandle):
    """What cancels a scope when its deadline passes, without a callback."""

    __slots__ = ("_scope",)

    _scope: CancelScope | None

    def run(self) -> None:
        scope = self._scope
        self._scope = None
        if scope is not None:
            scope._expire()

    def cancel(self) -> None:
        """Take the timer back."""
        self._scope = None
        if self._heap is not None:
            self._heap.remove(self)
        self._cancelled = True


def new_scope(deadline: float, shield: bool) -> CancelScope:
    """A scope with what has been checked already."""
    scope = CancelScope.__new__(CancelScope)
    if not cython.compiled:
        CancelScope.__init__(scope)
    scope._deadline = deadline
    scope._shield = shield
    return scope


def move(task: Interruptible, before: CancelScope, after: CancelScope) -> None:
    """*task*, which began inside of *before*, is inside of *after* from now on, with all that it has started."""
    before._members.discard(task)
    outermost = task._scope
    if outermost is before:
        task._scope = after
    else:
        while outermost is not None and outermost._parent is not before:
            outermost = outermost._parent
        if outermost is not None:
            outermost._parent = after
    if after._host is not None:
        task._inherited_deadline = after._host._inherited_deadline
    found = [task]
    pending: list[Any] = []
    _note_scopes(task._scope, after, pending)
    _add_members(pending, found)
    for each in found:
        each._look_again()


def _inside(scope: CancelScope) -> list[Any]:
    """Every task that is inside of *scope*."""
    found: list[Any] = []
    pending: list[Any] = [] if scope._members is None else [scope]
    if scope._host is not None:
        found.append(scope._host)
        _note_scopes(scope._host._scope, scope, pending)
    _add_members(pending, found)
    return found


def _add_members(pending: list[Any], found: list[Any]) -> None:
    """Add the tasks of the *pending* scopes to those that were *found*, and all that these have started."""
    while pending:
        scope = pending.pop()
        for member in scope._members:
            if isinstance(member, Interruptible):
                task = member
                if not task._done:
                    found.append(task)
                    _note_scopes(task._scope, scope, pending)


def _note_scopes(inner: Scope | None, outer: Scope, pending: list[Any]) -> None:
    """Those from *inner* to *outer*, without that, that have tasks of their own."""
    while inner is not None and inner is not outer:
        if inner._members is not None:
            pending.append(inner)
        inner = inner._parent


def _checked(deadline: Any) -> float:
    if isinstance(deadline, bool) or not isinstance(deadline, (int, float)):
        raise TypeError(f"a deadline is a loop time in seconds, or math.inf; got {deadline!r}")
    if deadline != deadline:
        raise ValueError("a deadline is a loop time in seconds, or math.inf; got nan")
    return float(deadline)


def _outside() -> str:
    if running_here() is None:
        return "a CancelScope is entered inside of a task, while an event loop runs"
    return (
        "a CancelScope is entered inside of a task of hocket's; this is a callback, or a task of another class or of "
        "another event loop"
    )


keep_spare(CancelScope, 1024)
keep_spare(ScopeTimer, 1024)
