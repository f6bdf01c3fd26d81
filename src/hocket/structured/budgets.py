"""How much time a request has, for all that is done on its behalf.

A budget is a deadline that travels: into the calls below, into the tasks and threads that are started on the way (it is
in a context variable), and, by `hocket.propagate`, over the network.  Budgets nest, and one inside of another never
ends later.  What keeps time back (``reserve``) ends what is inside earlier, so that there is still time for a fallback
and for the answer.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, TypeVar, TypeVarTuple, cast

from hocket.core.scope import CancelScope
from hocket.structured.scopes import checkpoint, deadline_here
from hocket.structured.worker_threads import job_here

T = TypeVar("T")
F = TypeVar("F")
Ts = TypeVarTuple("Ts")

_current: ContextVar[Budget | None] = ContextVar("hocket.budget", default=None)
_NO_FALLBACK: Any = object()


class BudgetExceeded(TimeoutError):
    """The time of a budget is used up.  ``budget`` is which."""

    def __init__(self, message: str, budget: Budget | None = None) -> None:
        super().__init__(message)
        self.budget = budget

    def __reduce__(self) -> Any:
        # The budget, which belongs to a loop, stays here.
        return type(self), self.args


class Budget:
    """What `budget` gives: a ``with`` block that may take so long."""

    def __init__(self, seconds: float, name: str | None, reserve: float, inherit: bool) -> None:
        self.name = name
        self.seconds = seconds
        self.reserve = reserve
        self._inherit = inherit
        self._loop: Any = None
        self._began = 0.0
        self._deadline = math.inf
        self._scope: CancelScope | None = None
        self._token: Token[Budget | None] | None = None

    def __enter__(self) -> Budget:
        if self._loop is not None:
            raise RuntimeError(f"{self!r} has been entered before: a budget is for one block")
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline = began + self.seconds
        if self._inherit:
            deadline = min(deadline, began + _given(loop))
        scope = CancelScope(deadline=deadline, shield=not self._inherit)
        scope.__enter__()
        self._loop = loop
        self._began = began
        self._deadline = deadline
        self._scope = scope
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        scope, token = self._scope, self._token
        if scope is None or token is None:
            raise RuntimeError(f"{self!r} is not being left: it was not entered")
        try:
            _current.reset(token)
        except ValueError:
            pass  # Left in another context, in which it was not to be seen anyway.
        self._token = None
        try:
            if not scope.__exit__(kind, error, traceback):
                return False
            if scope.canceller != "deadline":
                return True
            raise BudgetExceeded(self._used_up(), self) from error
        finally:
            # The traceback holds this frame, and would hold the exception: a cycle.
            del error, traceback

    def _used_up(self) -> str:
        seconds = max(self._deadline - self._began, 0.0)
        name = "a budget" if self.name is None else f"the budget of {self.name}"
        text = f"{name}, {seconds:.3g} s, is used up"
        return text if seconds == self.seconds else f"{text} ({self.seconds:.3g} s, of which less was left)"

    @property
    def deadline(self) -> float:
        """The loop time, in seconds, at which it is used up; infinity if never, or if it was not entered."""
        return self._deadline

    @property
    def cancelled_caught(self) -> bool:
        """True if the block was ended because the time was over."""
        return self._scope is not None and self._scope.cancelled_caught

    def cancel(self, reason: object = None) -> None:
        """End the block, as if its scope were cancelled: nothing is raised behind it.  For the loop's thread."""
        if self._scope is None:
            raise RuntimeError(f"{self!r} was not entered")
        self._scope.cancel(reason)

    def remaining(self) -> float:
        """How many seconds are left; 0.0 if it is used up.  For any thread."""
        if self._loop is None:
            return self.seconds
        return math.inf if self._deadline == math.inf else max(self._deadline - self._loop.time(), 0.0)

    def spent(self) -> float:
        """How many seconds have passed since it was entered.  For any thread."""
        return 0.0 if self._loop is None else self._loop.time() - self._began

    def __repr__(self) -> str:
        name = "" if self.name is None else f" {self.name}"
        if self._loop is None:
            return f"<Budget{name}: {self.seconds:g} s>"
        return f"<Budget{name}: {self.remaining():.3f} of {self._deadline - self._began:.3f} s left>"


def budget(seconds: float, *, name: str | None = None, reserve: float = 0.0, inherit: bool = True) -> Budget:
    """A ``with`` block that may take *seconds*, and never longer than the budget around it has left.

    When the time is over, all that waits inside is cancelled, as by a `hocket.CancelScope`, and the block raises
    `BudgetExceeded`, a `TimeoutError`.  Budgets inside, and calls that `hocket.propagate` sends over the network, end
    *reserve* seconds before that, so that there is time to do something else; *name* is for messages.

    The budget holds for what the block awaits, for the tasks of `hocket.TaskGroup`s in it, and for the threads of
    `hocket.to_thread.run_sync`, which can ask (`remaining`, `hocket.from_thread.check_cancelled`).  A task that a bare
    ``create_task`` starts is not cancelled with it, but what that calls within budgets of its own is.  With *inherit*
    False the budget around does not count: for work that is to outlive the request.

    Raises `RuntimeError` outside of hocket's tasks; `TypeError` and `ValueError` for seconds that are none::

        with hocket.budget(0.5, reserve=0.05):
            user = await hocket.within(0.15, fetch_user, number, fallback=None)
    """
    return Budget(_checked("budget", seconds), name, _checked("reserve", reserve), inherit)


def current_budget() -> Budget | None:
    """The innermost budget of this task or thread; None if there is none."""
    return _current.get()


def remaining() -> float:
    """How many seconds this task, or this thread for its task, may still take: by its budget and by the deadlines of
    its scopes.  Infinity if there is none; 0.0 if it is over.

    What to give to calls that block and take a time limit::

        connection = await hocket.to_thread.run_sync(lambda: connect(timeout=hocket.remaining()))
    """
    found = _current.get()
    left = math.inf if found is None else found.remaining()
    job = job_here()
    if job is not None:
        return min(left, cast(float, job.host.time_left()))
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return left
    deadline = deadline_here()
    return left if deadline == math.inf else min(left, max(deadline - loop.time(), 0.0))


async def within(
    seconds: float,
    func: Callable[[*Ts], Awaitable[T]],
    /,
    *args: *Ts,
    fallback: F = _NO_FALLBACK,
    name: str | None = None,
) -> T | F:
    """``await func(*args)`` in a budget of *seconds*, and of no more than what is left.

    If that is used up, the result is *fallback*: a value, or what a function without arguments returns, which is
    awaited if it is to be awaited (it has the time that the budget around has kept back).  Without one it raises
    `BudgetExceeded`.  If it is the budget *around* that is used up, there is no time for a fallback, and that one
    raises::

        price = await hocket.within(0.15, fetch_price, article, fallback=lambda: cache.get(article))
    """
    inner = budget(seconds, name=getattr(func, "__qualname__", None) if name is None else name)
    try:
        with inner:
            if inner.remaining() <= 0.0:
                await checkpoint()  # Too late to begin.
            return await func(*args)
    except BudgetExceeded as error:
        if error.budget is not inner or fallback is _NO_FALLBACK:
            raise
    result: Any = fallback() if callable(fallback) else fallback
    if inspect.isawaitable(result):
        result = await result
    return cast(F, result)


def given() -> float:
    """How many seconds a call below may take: what is left, without what is kept back.  Infinity if there is no
    limit."""
    return _given(asyncio.get_running_loop())


def _given(loop: Any) -> float:
    around = _current.get()
    left = math.inf if around is None else around.remaining() - around.reserve
    deadline = deadline_here()
    return left if deadline == math.inf else min(left, deadline - loop.time())


def _checked(what: str, seconds: Any) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{what} expected seconds, got {seconds!r}")
    if not seconds >= 0:
        raise ValueError(f"{what} expected seconds, 0 or more, got {seconds!r}")
    return float(seconds)
