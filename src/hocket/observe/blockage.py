"""What the watchdog reports: who kept a loop from going on, where, for how long, and why."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass

from hocket.observe.evidence import CAUSES
from hocket.observe.facts import Place

__all__ = ["CAUSES", "Blockage", "own_place"]

_REASONS = {
    "python": "Python code computes",
    "blocking-call": "a call does not return",
    "garbage-collector": "the garbage collector is at work",
    "interpreter-lock": "another thread has the interpreter's lock",
    "starved-machine": "the machine has no processor for it",
}


@dataclass(frozen=True, slots=True)
class Blockage:
    """A step that took, or takes, longer than the watchdog's threshold; or a loop that was ready and could not run.

    ``number`` is the same in both reports on one blockage; ``over`` tells the second.  ``time`` is when it began, as of
    `time.time`; ``seconds`` how long it has taken.  ``kind`` is what runs: a ``task``, a ``callback``, or, between two
    steps, the ``loop`` itself.  ``task`` is the number of the task, 0 if it is not known or not a task; ``name`` is
    that of the task, the description of the callback, or None.

    ``cause`` is one of `CAUSES`; ``shares`` says what part of the time went to what, the largest first.  ``stack`` is
    where the loop's thread was when it was noticed, the innermost place last, and ``where`` the innermost place in the
    program's own code.  ``holder`` names the thread that had the interpreter's lock, if another one had it.
    """

    number: int
    time: float
    loop: int
    thread: int
    thread_name: str
    kind: str
    task: int
    name: str | None
    seconds: float
    over: bool
    cause: str
    shares: tuple[tuple[str, float], ...]
    stack: tuple[Place, ...]
    where: Place | None
    holder: str | None
    holder_stack: tuple[Place, ...]

    @property
    def who(self) -> str:
        """Who blocks, in words."""
        if self.kind == "task":
            return f"task {self.name!r}"
        if self.kind == "callback":
            return "a callback" if self.name is None else f"callback {self.name}"
        return "the loop"

    @property
    def why(self) -> str:
        """The cause, in words."""
        if self.cause == "interpreter-lock" and self.holder is not None:
            where = f", at {self.holder_stack[-1]}" if self.holder_stack else ""
            return f"thread {self.holder!r} has the interpreter's lock{where}"
        if self.cause == "blocking-call":
            parts = dict(self.shares)
            computes = parts.get("computing", 0.0) > parts.get("waiting in a call", 0.0)
            return f"{_REASONS[self.cause]}: it {'computes' if computes else 'waits'}"
        return _REASONS[self.cause]

    def __str__(self) -> str:
        where = "" if self.where is None else f", at {self.where}"
        loop = f"the event loop of thread {self.thread_name!r}"
        if self.kind == "loop":
            verb = "could not run for" if self.over else "has not been able to run for"
            return f"{loop} {verb} {self.seconds:.3f} s{where}: {self.why}"
        if self.cause == "starved-machine":
            # Nobody's fault who runs on the loop.
            verb = "could not go on" if self.over else "has not been able to go on"
            return f"{loop} {verb} with {self.who} for {self.seconds:.3f} s{where}: {self.why}"
        verb = "blocked" if self.over else "has been blocking"
        return f"{self.who} {verb} {loop} for {self.seconds:.3f} s{where}: {self.why}"


def own_place(stack: Iterable[Place]) -> Place | None:
    """The last place of *stack* in the program's own code; if there is none, the last of all.  None: it is empty."""
    last = own = None
    for place in stack:
        last = place
        if not _is_library(place.file):
            own = place
    return own if own is not None else last


_LIBRARIES = tuple(
    os.path.join(path, "")
    for path in {
        *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    }
)


def _is_library(file: str) -> bool:
    return file.startswith(("<frozen ", *_LIBRARIES))
