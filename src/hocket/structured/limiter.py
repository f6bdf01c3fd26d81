"""`CapacityLimiter`: how many may use something at once, and who does.

A semaphore counts places; a limiter also knows who has them.  So nobody takes two by mistake and waits for himself,
nobody gives back what he never took, and `CapacityLimiter.statistics` tells who is in the way.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hocket.core.wait import Line, Wait
from hocket.primitives.bound import LoopBound
from hocket.structured.errors import WouldBlock

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.operation import given
    from hocket.primitives.bound import current_task, running

if TYPE_CHECKING:
    from hocket.structured.statistics import LimiterStatistics


class CapacityLimiter(LoopBound):
    """At most *total_tokens* borrowers at a time, first come, first served.

    A borrower is the task that acquires, or whatever the program names with ``..._on_behalf_of``: anything hashable.
    *total_tokens* is an int of 0 or more, or ``math.inf``; raises `TypeError` for anything else, and `ValueError` for a
    negative number.  Semantics of trio's and anyio's classes of this name.  Not thread-safe::

        limiter = hocket.CapacityLimiter(10)
        async with limiter:
            await fetch(url)
    """

    def __init__(self, total_tokens: float) -> None:
        self._loop = None
        self._total = _checked(total_tokens)
        # In the order of borrowing.
        self._borrowers: dict[Any, None] = {}
        self._waiters = Line()
        self._most = 0

    def __repr__(self) -> str:
        state = f"{len(self._borrowers)} of {self._total:.0f} borrowed"
        if len(self._waiters):
            state += f", {len(self._waiters)} waiting"
        return f"<CapacityLimiter at {id(self):#x} [{state}]>"

    @property
    def total_tokens(self) -> float:
        """How many tokens there are; may be set.  More let those in who wait; with fewer those who have some keep them,
        and nobody else gets one until there are fewer borrowers than tokens."""
        return self._total if self._total == math.inf else int(self._total)

    @total_tokens.setter
    def total_tokens(self, value: float) -> None:
        self._total = _checked(value)
        self._share_out()

    @property
    def borrowed_tokens(self) -> int:
        """How many tokens are borrowed."""
        return len(self._borrowers)

    @property
    def available_tokens(self) -> float:
        """How many tokens are left; 0 if there are more borrowers than tokens."""
        left = self._total - len(self._borrowers)
        return left if left == math.inf else max(int(left), 0)

    def statistics(self) -> LimiterStatistics:
        """Who has borrowed, who waits, and how much has been waited."""
        from hocket.structured import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.of_limiter(self)

    def acquire(self) -> Wait:
        """``await limiter.acquire()`` waits for a token and borrows it, for the task that awaits.

        Raises `RuntimeError` if that task has one already.  Cancelling a task that waits passes its turn on: if it
        raises, no token has been borrowed.
        """
        return _acquiring(self, None, True)

    def acquire_nowait(self) -> None:
        """Borrow a token for the current task at once, or raise `WouldBlock`; otherwise as `acquire`."""
        self._borrow_now(self._own())

    def acquire_on_behalf_of(self, borrower: Any) -> Wait:
        """As `acquire`, for *borrower*."""
        return _acquiring(self, borrower, False)

    def acquire_on_behalf_of_nowait(self, borrower: Any) -> None:
        """As `acquire_nowait`, for *borrower*."""
        self._borrow_now(borrower)

    def release(self) -> None:
        """Give the token of the current task back.  `RuntimeError` if it has none."""
        self._return(self._own())

    def release_on_behalf_of(self, borrower: Any) -> None:
        """Give the token of *borrower* back.  `RuntimeError` if he has none."""
        self._return(borrower)

    def __aenter__(self) -> Any:
        return _acquiring(self, None, True)

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        self._return(self._own())
        return given(None)

    def _own(self) -> Any:
        task = current_task(running())
        if task is None:
            raise RuntimeError(f"{self!r}: there is no current task to borrow; name a borrower: acquire_on_behalf_of()")
        return task

    def _refuse_second(self, borrower: Any) -> None:
        if borrower in self._borrowers:
            raise RuntimeError(f"{borrower!r} has a token of {self!r} already, and would wait for itself")

    def _is_free(self) -> bool:
        # Who waits is let in as soon as there is a token, so nobody does if there is one.
        return len(self._borrowers) < self._total

    def _borrow_now(self, borrower: Any) -> None:
        self._refuse_second(borrower)
        if not self._is_free():
            raise WouldBlock(f"{self!r} has no token left")
        self._borrow(borrower)

    def _borrow(self, borrower: Any) -> None:
        self._borrowers[borrower] = None
        if len(self._borrowers) > self._most:
            self._most = len(self._borrowers)

    def _return(self, borrower: Any) -> None:
        if borrower not in self._borrowers:
            raise RuntimeError(f"{borrower!r} has no token of {self!r} to give back")
        del self._borrowers[borrower]
        if self._waiters._first is not None:
            self._share_out()

    def _share_out(self) -> None:
        """Let in those who wait, as long as there are tokens."""
        while self._waiters._first is not None and self._is_free():
            wait = self._waiters.pop()
            if wait._is_done():
                continue
            if wait._item not in self._borrowers:
                self._borrow(wait._item)
                wait._quiet = True
            wait._wake()
            # It had left before it was known how long it has waited.
            self._waiters.waited += wait._waited


class AcquireToken(Wait):
    """`CapacityLimiter.acquire`.  ``_item`` is the borrower, ``_quiet`` says that he has his token."""

    __slots__ = ()

    _name = "CapacityLimiter.acquire"

    def _begin(self) -> Any:
        limiter: CapacityLimiter = self._owner
        if self._quiet:
            self._quiet = False
            self._item = limiter._own()
        limiter._refuse_second(self._item)
        if limiter._is_free():
            limiter._borrow(self._item)
            self._item = None
            return None
        return limiter._queue_up(limiter._waiters, self)

    def _resume(self) -> Any:
        limiter: CapacityLimiter = self._owner
        self._check_woken()
        if not self._quiet:
            # The same borrower has waited twice.
            limiter._refuse_second(self._item)
        self._item = None
        return None

    def _interrupt(self, error: BaseException) -> Any:
        limiter: CapacityLimiter = self._owner
        limiter._waiters.leave(self)
        if self._quiet:
            # It had its token already and will not use it.
            limiter._return(self._item)
        self._item = None
        raise error


def _acquiring(limiter: CapacityLimiter, borrower: Any, own: bool) -> AcquireToken:
    operation = AcquireToken.__new__(AcquireToken)
    operation._owner = limiter
    operation._item = borrower
    # Until it begins: whether the borrower is the task that awaits.
    operation._quiet = own
    return operation  # type: ignore[no-any-return]


def _checked(total_tokens: Any) -> float:
    if total_tokens == math.inf:
        return math.inf
    if not isinstance(total_tokens, int) or isinstance(total_tokens, bool):
        raise TypeError(f"expected total_tokens as an int of 0 or more, or math.inf, got {total_tokens!r}")
    if total_tokens < 0:
        raise ValueError(f"expected a total of 0 or more tokens, got {total_tokens!r}")
    return total_tokens
