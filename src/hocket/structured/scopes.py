"""Time limits for blocks of code, made of `hocket.core.scope.CancelScope`; and what a task can ask about its own."""

from __future__ import annotations

import math
from typing import Any

from hocket.core.cancellation import Interruptible
from hocket.core.scheduler import Scheduler
from hocket.core.scope import CancelScope
from hocket.native.operation import Pause

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.core.cancellation import deadline_inside, felt
    from hocket.core.scheduler import running_here, running_task
    from hocket.core.scope import new_scope


def move_on_after(seconds: float | None, *, shield: bool = False) -> CancelScope:
    """Give a block *seconds* of time, from this call on; then it is cancelled, and the program goes on behind it.

    None: no limit, until somebody sets ``scope.deadline``.  0 or less: the block is cancelled at its first suspension.
    *shield* and everything else as for `CancelScope`; ``scope.cancelled_caught`` tells whether the time was too short.
    As `trio.move_on_after`.  Raises `RuntimeError` outside of a running loop of hocket's::

        with hocket.move_on_after(0.2) as scope:
            answer = await ask_the_cache(key)
        if scope.cancelled_caught:
            answer = await ask_the_database(key)
    """
    return new_scope(_in(seconds), shield)


def move_on_at(deadline: float | None, *, shield: bool = False) -> CancelScope:
    """As `move_on_after`, with the loop time at which the block is cancelled."""
    return new_scope(_at(deadline), shield)


def fail_after(seconds: float | None, *, shield: bool = False) -> CancelScope:
    """Give a block *seconds* of time, from this call on; then it is cancelled, and `TimeoutError` is raised behind it.

    As `move_on_after` otherwise.  If the block is cancelled by `CancelScope.cancel`, nothing is raised; if by a scope
    around it, or by `Task.cancel`, that stays what it is.  As `trio.fail_after`::

        with hocket.fail_after(10):
            await fetch(url)
    """
    return _failing(_in(seconds), shield, 0.0 if seconds is None or seconds < 0.0 else seconds)


def fail_at(deadline: float | None, *, shield: bool = False) -> CancelScope:
    """As `fail_after`, with the loop time at which the block is cancelled."""
    return _failing(_at(deadline), shield, -1.0)


def current_effective_deadline() -> float:
    """The loop time until which the task that runs has time: the earliest deadline of the scopes around it.

    `math.inf`: there is none.  ``-math.inf``: a scope around it has been cancelled, and no shield is in between.  A
    task that was started by a bare ``create_task`` is not inside of the scopes of whoever started it; it is told the
    deadline that its maker had then, and nobody will cancel it when that passes.  As
    `trio.current_effective_deadline`.  Raises `RuntimeError` outside of a running loop.
    """
    task = running_task()
    if task is None:
        if running_here() is None:
            raise RuntimeError("no running event loop")
        return math.inf
    if not isinstance(task, Interruptible):
        return math.inf
    ours = task
    if felt(ours, ours._scope) is not None:
        return -math.inf
    return deadline_inside(ours)


def deadline_here() -> float:
    """The same for what also works where no task runs: infinity there."""
    return math.inf if running_here() is None else current_effective_deadline()


def checkpoint() -> Any:
    """``await checkpoint()`` lets everybody else have a turn, and raises if the task is being cancelled.

    For long computations, to be fair and to stay cancellable.  As `trio.lowlevel.checkpoint`.
    """
    return Pause()


def _in(seconds: Any) -> float:
    if seconds is None:
        return math.inf
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"a time limit is a number of seconds, or None; got {seconds!r}")
    if seconds != seconds:
        raise ValueError("a time limit is a number of seconds, or None; got nan")
    return _engine()._now() + seconds


def _at(deadline: Any) -> float:
    if deadline is None:
        return math.inf
    if isinstance(deadline, bool) or not isinstance(deadline, (int, float)):
        raise TypeError(f"a deadline is a loop time in seconds, or None; got {deadline!r}")
    if deadline != deadline:
        raise ValueError("a deadline is a loop time in seconds, or None; got nan")
    return deadline


def _engine() -> Scheduler:
    loop = running_here()
    if loop is None:
        raise RuntimeError("no running event loop")
    if not isinstance(loop, Scheduler):
        raise RuntimeError(f"scopes need a loop of hocket's; {loop!r} runs here")
    return loop


def _failing(deadline: float, shield: bool, seconds: float) -> CancelScope:
    scope = new_scope(deadline, shield)
    scope._fails = True
    scope._seconds = seconds
    return scope
