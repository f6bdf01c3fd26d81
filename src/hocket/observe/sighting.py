"""What a sentinel tells of a step that takes too long."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hocket.observe import evidence


@dataclass(slots=True)
class Evidence:
    """Where the time of a step has gone, in nanoseconds, since the first look at it; and how many looks there were.

    ``samples`` counts the looks before which it computed, ``moved`` those between which that was Python code; ``limit``
    is how long it may take.
    """

    computing: int = 0
    waiting: int = 0
    collecting: int = 0
    interpreter: int = 0
    machine: int = 0
    moved: int = 0
    samples: int = 0
    limit: int = 0

    @property
    def cause(self) -> str:
        """One of `hocket.observe.evidence.CAUSES`."""
        return evidence.CAUSES[
            evidence.cause_of(
                self.computing,
                self.waiting,
                self.collecting,
                self.interpreter,
                self.machine,
                self.moved,
                self.samples,
                self.limit,
            )
        ]

    def shares(self) -> dict[str, float]:
        """What share of the time, from 0 to 1, has gone to what; the largest first."""
        parts = {
            "computing": self.computing,
            "waiting in a call": self.waiting,
            "collecting garbage": self.collecting,
            "waiting for the interpreter's lock": self.interpreter,
            "waiting for a processor": self.machine,
        }
        whole = sum(parts.values())
        return {name: part / whole for name, part in sorted(parts.items(), key=lambda one: -one[1]) if part}


@dataclass(slots=True)
class Sighting:
    """A step, or a time between two steps (``outside``), that takes or has taken too long.

    ``serial`` is its own; the same when it is seen for the second time, and ``over``.  ``begun`` and ``ended`` (0: it
    lasts) are in ticks; ``seconds`` is how long it has taken so far.
     ``spots`` is where its thread was when it was noticed, ``holder_spots`` where the thread ``holder``
    was that had the interpreter's lock; the innermost first.  ``task`` and ``name`` are of the task that runs: 0 and
    None where none does; ``is_task`` says whether one does.  ``told``: the sentinel has written of it by itself.
    """

    serial: int
    loop: Any
    thread: int
    over: bool
    outside: bool
    begun: int
    ended: int
    seconds: float
    is_task: bool = False
    task: int = 0
    name: str | None = None
    told: bool = False
    holder: int = 0
    spots: list[tuple[str, int, str]] = field(default_factory=list)
    holder_spots: list[tuple[str, int, str]] = field(default_factory=list)
    evidence: Evidence = field(default_factory=Evidence)
