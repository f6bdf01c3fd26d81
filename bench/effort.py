"""How much is done for one sample: enough for a steady number, or just enough to see that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """``seconds``: how long an in-process case repeats itself. The rest is the load generator's window."""

    name: str
    rounds: int
    seconds: float
    warm_up: float
    window: float
    max_requests: int = 10_000_000


FULL = Effort("full", rounds=5, seconds=0.5, warm_up=0.25, window=1.0)
BRIEF = Effort("brief", rounds=3, seconds=0.2, warm_up=0.1, window=0.4)
QUICK = Effort("quick", rounds=1, seconds=0.0, warm_up=0.02, window=0.1, max_requests=2_000)

EFFORTS = {effort.name: effort for effort in (FULL, BRIEF, QUICK)}
