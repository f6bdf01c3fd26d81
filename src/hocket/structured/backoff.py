"""How long to wait before another try: exponential backoff with full jitter.

Clients that fail together and wait for the same time come back together.  With *full jitter* each draws its delay
between nothing and the whole of it, which spreads them evenly and needs the fewest calls in all (Brooker, "Exponential
Backoff And Jitter", 2015).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from hocket.structured import checks
from hocket.structured.randomness import randomness


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow from *initial* seconds by *factor* up to *longest* seconds.

    With *jitter* each is drawn between 0 and that; without, it is exactly that, which is for tests and for those who
    call alone.  ``ceiling(2)`` is the longest delay after the second failure.
    """

    initial: float = 0.1
    longest: float = 5.0
    factor: float = 2.0
    jitter: bool = True

    def __post_init__(self) -> None:
        owner = "Backoff"
        checks.seconds(owner, "initial", self.initial)
        checks.seconds(owner, "longest", self.longest)
        if checks.real(owner, "factor", self.factor) < 1:
            raise ValueError(f"{owner}: factor is 1 or more, got {self.factor!r}")
        if self.longest < self.initial:
            raise ValueError(f"{owner}: longest ({self.longest} s) is less than initial ({self.initial} s)")

    def ceiling(self, failures: int) -> float:
        """The longest delay after that many failures in a row."""
        try:
            return float(min(self.longest, self.initial * self.factor ** (failures - 1)))
        except OverflowError:
            return self.longest

    def delay(self, failures: int, generator: random.Random | None = None) -> float:
        """A delay after that many failures in a row, drawn by *generator*; None: by `hocket.resilience.randomness`."""
        ceiling = self.ceiling(failures)
        if not self.jitter:
            return ceiling
        return (randomness() if generator is None else generator).uniform(0.0, ceiling)
