"""The names of the warnings, what each means, and from which threshold on it is given.

``-W NAME`` or ``-W NAME=THRESHOLD`` asks for a warning, ``-A NAME`` allows what it is about; ``all`` names every one.
They apply in the order in which they are given: ``-A all -W blocked-loop=0.5`` leaves one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lint:
    """A kind of warning.  ``threshold`` is in ``unit``; ``weight`` says which trouble is the worst."""

    name: str
    threshold: float
    unit: str
    weight: int
    summary: str


LINTS = {
    lint.name: lint
    for lint in (
        Lint("await-cycle", 0.1, "seconds", 100, "tasks that wait for each other, for so long: a deadlock"),
        Lint("blocked-loop", 0.1, "seconds", 90, "a step or a callback that has kept a loop from going on for so long"),
        Lint("never-yields", 1.0, "seconds", 85, "a task that has run for so long without having waited once"),
        Lint("lock-held-at-exit", 0.0, "seconds", 80, "a lock whose holder has ended without releasing it"),
        Lint("task-leak", 1.0, "seconds", 75, "a task that has waited for so long for what nothing can bring about"),
        Lint("cancel-swallowed", 1.0, "seconds", 70, "a task that goes on for so long after it was cancelled"),
        Lint("queue-growth", 1000.0, "items", 60, "an unbounded queue with so many items that keeps growing"),
        Lint("sched-delay", 0.1, "seconds", 55, "one step in a hundred has been ready for so long before it ran"),
        Lint("long-step", 0.25, "seconds", 50, "a step has taken so long"),
        Lint("timer-storm", 50_000.0, "a second", 45, "so many timers a second"),
        Lint("self-wakes", 0.5, "of its steps", 40, "a task that wakes itself (sleep(0)) in place of waiting"),
        Lint("never-retrieved", 1.0, "exceptions", 35, "exceptions of tasks and futures that nobody has looked at"),
        Lint("never-awaited", 1.0, "coroutines", 30, "coroutines that were made and never awaited"),
    )
}


class Rules:
    """Which warnings are given, and from which threshold on; all of them with their own to begin with."""

    def __init__(self) -> None:
        self._thresholds = {name: lint.threshold for name, lint in LINTS.items()}

    def warn(self, word: str) -> Rules:
        """Give this warning: ``NAME``, ``NAME=THRESHOLD`` or ``all``.  Raises `ValueError` for another word."""
        name, equals, value = word.partition("=")
        if name == "all" and not equals:
            for every, lint in LINTS.items():
                self._thresholds.setdefault(every, lint.threshold)
            return self
        _check(name)
        if not equals:
            self._thresholds.setdefault(name, LINTS[name].threshold)
            return self
        try:
            threshold = float(value)
        except ValueError:
            threshold = -1.0
        if not 0.0 <= threshold < float("inf"):
            raise ValueError(f"{word}: expected a threshold ({LINTS[name].unit}), got {value!r}")
        self._thresholds[name] = threshold
        return self

    def allow(self, word: str) -> Rules:
        """Do not give this warning: ``NAME`` or ``all``.  Raises `ValueError` for another word."""
        if word == "all":
            self._thresholds.clear()
        else:
            _check(word)
            self._thresholds.pop(word, None)
        return self

    def of(self, words: Iterable[tuple[str, str]]) -> Rules:
        """Apply ``("W", word)`` and ``("A", word)`` in turn."""
        for option, word in words:
            self.warn(word) if option == "W" else self.allow(word)
        return self

    def threshold(self, name: str) -> float | None:
        """From where on the warning of this name is given; None: it is not."""
        return self._thresholds.get(name)


def _check(name: str) -> None:
    if name not in LINTS:
        raise ValueError(f"there is no warning {name!r} (but {', '.join(LINTS)}, all)")
