"""Cancellation: what a task is told, when, and by whom.

There are two forms of it on one task.  `Task.cancel` is asyncio's: an *edge*, one `asyncio.CancelledError` at the next
suspension.  A cancelled *scope* is a *level*: as long as a task is inside, every suspension raises one, and who catches
it is the scope itself, when the task leaves it.

A task knows its innermost scope, and each scope the one around it.  A scope knows the task that entered it, and the
tasks that were started in it (those of a `TaskGroup`); from these two everything that is inside can be found, so that
to enter and to leave costs a few fields and no registration.

What a step has to know of all this is one number, ``_cancellation``, which is 0 in nearly every task.  Its bits:

===============  ====================================================================================================
``MUST``         `Task.cancel` was called while the task could not be interrupted: it is raised in the next step
``LEVEL``        the task is inside of a cancelled scope
``INTERRUPTED``  what the task waits for was cancelled on behalf of a scope: the next step raises that
``DEAF``         what the task waits for now must not be interrupted by a scope: it waits for its own children
===============  ====================================================================================================

A task that swallows it and goes on gets it again at the next suspension; who does so very often gets it ever
later, so that a task that refuses to end costs next to nothing.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

from hocket.core import anyio_private
from hocket.core.future import Future
from hocket.core.reasons import Cancellation
from hocket.core.wait import Wait

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython

_MUST = 1
_LEVEL = 2
_INTERRUPTED = 4
_DEAF = 8

#: So many times in a row it is raised at once; then it comes later, twice as late each time, up to the limit.
_PATIENCE = 100
_FIRST_DELAY = 0.001
_LONGEST_DELAY = 0.1

_FOREVER = math.inf


class Scope:
    """What a task has to know of a `hocket.core.scope.CancelScope`.

    ``_host`` is the task that has entered it, ``_parent`` the scope that was that task's innermost before, and
    ``_members`` the tasks that were started in it, None if it is not a group's.
    """

    _deadline: float
    _shield: bool
    _cancelled: bool
    _host: Interruptible | None
    _parent: Scope | None
    _members: Any
    _reason: object
    _canceller: str | None
    # The innermost of anyio's scopes in which the host was when it entered this one.
    _beside: Any

    def _describe(self) -> str:
        said = "cancelled" if self._canceller is None else f"cancelled by {self._canceller}"
        return said if self._reason is None else f"{said}: {self._reason}"


class Interruptible(Future):
    """The part of a task that has to do with cancellation."""

    def _init_interruptible(self) -> None:
        self._fut_waiter: Any = None
        self._cancellation = 0
        self._num_cancels_requested = 0
        self._scope: Scope | None = None
        self._interrupted_by: Scope | None = None
        self._steps = 0
        # How often a scope has interrupted it since it was last outside of every cancelled scope.
        self._struck = 0
        self._strikes_later: Any = None
        # How often it was free again of what cancelled it: who looks twice can tell one cancellation from the next.
        self._recovered = 0
        # The deadline of whoever made it.
        self._inherited_deadline = _FOREVER

    @property
    def _must_cancel(self) -> bool:
        return self._cancellation & _MUST != 0

    @_must_cancel.setter
    def _must_cancel(self, value: bool) -> None:
        self._note_must(value)

    def _note_must(self, value: bool) -> None:
        self._cancellation = self._cancellation | _MUST if value else self._cancellation & ~_MUST

    def _cancel_natively(self, msg: Any) -> None:
        """`Task.cancel`, of a task that is not done."""
        self._num_cancels_requested += 1
        if self._fut_waiter is not None and self._fut_waiter.cancel(msg=msg):
            # The future stays in place: it may be a task that refuses, and has to be cancelled again.
            self._cancellation &= ~_INTERRUPTED
            return
        # It is ready already, or runs.
        self._cancellation |= _MUST
        self._cancel_message = msg

    def _uncancel(self) -> None:
        if self._num_cancels_requested > 0:
            self._num_cancels_requested -= 1
            if self._num_cancels_requested == 0:
                self._cancellation &= ~_MUST
                self._recovered += 1

    def _natively_cancelled(self) -> int:
        """How many requests of `Task.cancel` have reached the coroutine, and have not been taken back."""
        return self._num_cancels_requested - (1 if self._cancellation & _MUST else 0)

    def _ends_cancelled(self) -> bool:
        """Whether `Task.cancel` was called in the very step in which the coroutine has returned."""
        if self._cancellation & _MUST:
            self._cancellation = 0
            return True
        return False

    # -- For the step

    def _suspended(self) -> None:
        """Called when the coroutine has suspended to wait for something, if there is anything to note."""
        if self._cancellation & _MUST and self._fut_waiter.cancel(msg=self._cancel_message):
            self._cancellation &= ~_MUST
        elif self._cancellation & _LEVEL:
            self._strike()

    def _holds_back(self, error: BaseException | None) -> bool:
        """Whether the task is to wait some more instead of taking the step: it yields and swallows all the time."""
        if (
            self._struck < _PATIENCE
            or self._cancellation & (_LEVEL | _MUST | _DEAF) != _LEVEL
            or error is not None
            or self._fut_waiter is not None
            or self._scheduler is None
            or felt(self, self._scope) is None
        ):
            return False
        wait = Wait.__new__(Wait)
        wait._stage = -1  # Nobody is to await it.
        wait._suspend(self._loop)
        wait._blocking = False
        wait._waker = self
        self._fut_waiter = wait
        self._strike_later()
        return True

    def _what_to_raise(self, error: BaseException | None) -> BaseException | None:
        """What the next step raises, if there is anything to note; *error* is what the task has waited for."""
        noted = self._cancellation
        self._cancellation = noted & _LEVEL
        if noted & _MUST:
            if not isinstance(error, asyncio.CancelledError) or noted & _INTERRUPTED:
                error = self._make_cancelled_error()
        elif noted & _INTERRUPTED:
            # If it has a result all the same, that must not be lost.
            if isinstance(error, asyncio.CancelledError):
                error = self._cancelled_by(self._interrupted_by)
        elif noted & (_LEVEL | _DEAF) == _LEVEL and error is None and self._fut_waiter is None and self._steps > 0:
            # A bare yield: there was nothing to interrupt.
            scope = felt(self, self._scope)
            if scope is not None:
                self._struck += 1
                error = self._cancelled_by(scope)
        self._interrupted_by = None
        return error

    def _cancelled_by(self, scope: Scope | None) -> BaseException:
        if scope is None:
            error: Any = asyncio.CancelledError()
            error.cancellation = Cancellation(None, None, None)
        else:
            error = asyncio.CancelledError(scope._describe())
            error.cancellation = Cancellation(scope, scope._reason, scope._canceller)
        return error  # type: ignore[no-any-return]

    # -- For scopes

    def _strike(self) -> None:
        """Interrupt what the task waits for, if it waits, on behalf of a scope."""
        if self._fut_waiter is None or self._cancellation & (_DEAF | _INTERRUPTED):
            return
        if self._struck < _PATIENCE:
            self._strike_now()
        else:
            self._strike_later()

    def _strike_now(self) -> None:
        scope = felt(self, self._scope)
        if scope is None:
            return
        if self._fut_waiter.cancel(msg=scope._describe()):
            self._struck += 1
            self._cancellation |= _INTERRUPTED
            self._interrupted_by = scope

    def _strike_later(self) -> None:
        if self._strikes_later is None:
            delay = _LONGEST_DELAY
            if self._struck < _PATIENCE + 10:
                delay = min(delay, _FIRST_DELAY * (1 << (self._struck - _PATIENCE)))
            self._strikes_later = self._loop.call_later(delay, self._strike_again)

    def _strike_again(self) -> None:
        self._strikes_later = None
        if (
            not self._done
            and self._fut_waiter is not None
            and self._cancellation & (_LEVEL | _DEAF | _INTERRUPTED) == _LEVEL
        ):
            self._strike_now()

    def _look_again(self) -> None:
        """The scopes around the task have changed, or one of them has: is it inside of a cancelled one?"""
        if visible(self._scope) is not None:
            # Also if it was inside of a cancelled one before, which a shield of anyio's may have kept out.
            self._cancellation |= _LEVEL
            self._strike()
        elif self._cancellation & _LEVEL:
            self._cancellation &= ~_LEVEL
            self._struck = 0
            self._recovered += 1
            if self._strikes_later is not None:
                self._strikes_later.cancel()
                self._strikes_later = None

    def _stop_listening(self) -> None:
        """What the task waits for next is not to be interrupted by a scope."""
        self._cancellation |= _DEAF

    def _be_inside(self, scope: Scope) -> None:
        """The task, which has not begun, or has entered scopes of its own only, is inside of *scope*."""
        outermost = self._scope
        if scope._host is not None:
            self._inherited_deadline = scope._host._inherited_deadline
        if outermost is None:
            self._scope = scope
        else:
            while outermost._parent is not None:
                outermost = outermost._parent
            outermost._parent = scope
        if visible(self._scope) is not None:
            self._look_again()

    def _is_inside(self, outer: Scope) -> bool:
        scope = self._scope
        while scope is not None:
            if scope is outer:
                return True
            scope = scope._parent
        return False

    def _leave_scopes(self) -> None:
        """The task is done."""
        self._scope = None
        self._interrupted_by = None
        if self._strikes_later is not None:
            self._strikes_later.cancel()
            self._strikes_later = None


def visible(scope: Scope | None) -> Scope | None:
    """The outermost cancelled scope that is felt inside of *scope*, or None."""
    found = None
    while scope is not None:
        if scope._cancelled:
            found = scope
        if scope._shield:
            break
        scope = scope._parent
    return found


def felt(task: Interruptible, scope: Scope | None) -> Scope | None:
    """As `visible` from *scope*, where *task* is, and without those that a shield of anyio's keeps out."""
    found = None
    while scope is not None:
        if scope._cancelled:
            if anyio_private.is_shielded(task, scope._beside):
                break
            found = scope
        if scope._shield:
            break
        scope = scope._parent
    return found


def deadline_inside(task: Interruptible) -> float:
    """The earliest deadline that *task* feels, as loop time; that of whoever made it if it is not inside of a scope."""
    earliest = _FOREVER
    scope = task._scope
    while scope is not None:
        if scope._deadline < earliest:
            earliest = scope._deadline
        if scope._shield:
            return earliest
        scope = scope._parent
    return task._inherited_deadline if task._inherited_deadline < earliest else earliest


def told(task: Interruptible) -> tuple[str | None, int]:
    """What *task* has been told by scopes: who has cancelled the one that it is inside of, and why (None: it is not
    inside of a cancelled one), and how often it was interrupted since.  For any thread."""
    scope = visible(task._scope)
    return (None, 0) if scope is None else (scope._describe(), task._struck)


if not cython.compiled:
    Interruptible._fut_waiter = None
    Interruptible._cancellation = 0
    Interruptible._num_cancels_requested = 0
    Interruptible._scope = None
    Interruptible._steps = 0
    Scope._deadline = _FOREVER
    Scope._shield = False
    Scope._cancelled = False
    Scope._host = None
    Scope._parent = None
    Scope._members = None
    Scope._reason = None
    Scope._canceller = None
    Scope._beside = None
