"""What policies raise.  A call that a policy does not let through is `Refused`: it has not been made."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A policy has not let a call through, so nothing has happened.

    ``policy`` is which one.  ``retry_after`` is in how many seconds it may be worth another try, or None if nobody can
    tell; `hocket.resilience.Retry` and a ``Retry-After`` header take it as it is.
    """

    def __init__(self, message: str, *, policy: Any = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.policy = policy
        self.retry_after = retry_after


class CircuitOpen(Refused):
    """The circuit breaker is open: the calls before this one have failed or were slow."""


class RateLimited(Refused):
    """This call would exceed the rate, and its turn would come too late."""


class BulkheadFull(Refused):
    """As many calls as may be under way are, and as many wait as may."""


class Overloaded(Refused):
    """There is more work than can be done in time, by an adaptive limit or by load shedding."""


class PoolClosed(Refused):
    """The resource pool has been closed."""


class PoolExhausted(Refused):
    """Every resource of the pool is out, and as many wait for one as may."""
