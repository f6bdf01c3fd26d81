"""`RetryBudget`: how many additional calls, retries or hedges, may be made for all the calls there are.

A retry helps when one call in a hundred fails.  When all fail, it doubles the load on what is failing, and each layer
of a system doubles it again.  A budget that all calls share bounds the additional load to a share of the real one,
whatever happens.  After Finagle's ``RetryBudget``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hocket.resilience.policy import now_if_running
from hocket.resilience.windows import Window
from hocket.structured import checks

if TYPE_CHECKING:
    from hocket.resilience.statistics import RetryBudgetStatistics

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.resilience.policy import now_here


class RetryBudget:
    """Additional calls for a share *ratio* of the calls of the last *window* seconds, and *reserve* a second on top, so
    that those who call seldom can retry, too.

    Share one among all retries and hedges that reach the same service::

        budget = RetryBudget(ratio=0.2)
        retry = Retry(budget=budget)
        hedge = Hedge(delay=0.05, budget=budget)

    A call counts when it begins, an additional one when it is made, and both for *window* seconds.  Raises `ValueError`
    if *ratio* and *reserve* are both 0, which would never allow any.  Not thread-safe.
    """

    def __init__(
        self, *, ratio: float = 0.2, reserve: float = 10.0, window: float = 10.0, name: str | None = None
    ) -> None:
        self.ratio = checks.real("RetryBudget", "ratio", ratio)
        self.reserve = checks.seconds("RetryBudget", "reserve", reserve)
        self.window = checks.seconds("RetryBudget", "window", window, zero=False)
        if not 0 <= self.ratio <= 10:
            raise ValueError(f"RetryBudget: ratio is from 0 to 10 additional calls for each call, got {ratio!r}")
        if self.ratio == 0 and self.reserve * self.window < 1:
            raise ValueError("RetryBudget: neither ratio nor reserve allows any call; leave the retries out instead")
        self.name = "RetryBudget" if name is None else name
        self._window = Window(self.window)
        self._calls = 0
        self._spent = 0
        self._refused = 0

    def __repr__(self) -> str:
        return f"<RetryBudget {self.name!r}>" if self.name != "RetryBudget" else "<RetryBudget>"

    def call(self) -> None:
        """Note that a call has been made, which is not an additional one."""
        self._calls += 1
        self._window.add(now_here(), 1, 0, 0)

    def balance(self) -> float:
        """How many additional calls are allowed now."""
        now = now_if_running()
        if now is not None:
            self._window.move(now)
        return self._balance()

    def try_spend(self) -> bool:
        """Take one additional call out of the budget.  False if there is none; then nothing is taken."""
        now = now_here()
        self._window.move(now)
        if self._balance() < 1.0 - 1e-9:
            self._refused += 1
            return False
        self._spent += 1
        self._window.add(now, 0, 1, 0)
        return True

    def statistics(self) -> RetryBudgetStatistics:
        """What it holds and what it has given so far.  Where no loop runs, as of the last call."""
        from hocket.resilience import statistics  # Seldom asked for, and dataclasses take time to import.

        return statistics.RetryBudgetStatistics(self.balance(), self._calls, self._spent, self._refused)

    def _balance(self) -> float:
        return self.reserve * self.window + self.ratio * self._window.calls - self._window.marked


def checked(owner: str, budget: Any) -> RetryBudget | None:
    """*budget*, which is one or None."""
    if budget is not None and not isinstance(budget, RetryBudget):
        raise TypeError(f"{owner}: budget is a RetryBudget or None, got {budget!r}")
    return budget
