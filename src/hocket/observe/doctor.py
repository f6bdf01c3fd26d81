"""The doctor: looks at a program twice, and says what is wrong with it.

    for trouble in hocket.observe.doctor.examine(seconds=2.0):
        print(trouble.what)

`hocket doctor` asks the agent of a process to do so, or reads a recording.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from hocket.observe import watchdog
from hocket.observe.aside import in_a_thread
from hocket.observe.lints import Rules
from hocket.observe.looks import Look, look
from hocket.observe.protocol import Refusal
from hocket.observe.warnings import Trouble, troubles


def examine(rules: Rules | None = None, *, seconds: float = 1.0, search: bool = True) -> list[Trouble]:
    """What is wrong with this process, the worst first.  From a thread that runs no loop: it sleeps.

    It looks twice, *seconds* apart.  *search*: also for leaked tasks, for locks whose holders have ended and for queues
    that grow, which takes half a second for a million objects.
    """
    before = look(search=search)
    time.sleep(seconds)
    return troubles(before, look(search=search), rules)


class Doctor:
    """Examines this process for one client of the agent: each answer is about the time since the last one."""

    def __init__(self) -> None:
        self._last: Look | None = None

    def look(self, request: dict[str, Any]) -> Iterator[dict[str, Any] | float]:
        """``look``: remember how things are now.  ``search`` (true): also what takes long to find."""
        now = yield from in_a_thread(lambda: look(search=_searches(request)))
        self._last = now
        yield {"end": _seen(now)}

    def troubles(self, request: dict[str, Any]) -> Iterator[dict[str, Any] | float]:
        """``troubles``: what is wrong, as `Trouble`, the worst first; ``rules`` are pairs of ``"W"`` or ``"A"`` and a
        word.  The look that it takes is the one that the next answer goes by."""
        try:
            rules = rules_of(request.get("rules", []))
        except ValueError as error:
            raise Refusal(str(error)) from None
        now = yield from in_a_thread(lambda: look(search=_searches(request)))
        before, self._last = self._last, now
        for trouble in troubles(before, now, rules):
            yield {"row": trouble}
        yield {"end": {**_seen(now), "seconds": None if before is None else now.time - before.time}}


def rules_of(words: Any) -> Rules:
    """The rules that *words* make: pairs of ``"W"`` or ``"A"`` and a word.  Raises `ValueError` if they make none."""
    if not isinstance(words, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and pair[0] in ("W", "A") and isinstance(pair[1], str)
        for pair in words
    ):
        raise ValueError(f'rules: expected pairs like ["W", "blocked-loop"], got {words!r}')
    return Rules().of((option, word) for option, word in words)


def _searches(request: dict[str, Any]) -> bool:
    return bool(request.get("search", True))


def _seen(now: Look) -> dict[str, Any]:
    started = watchdog.started()
    return {
        "tasks": len(now.snapshot.tasks),
        "loops": len(now.snapshot.loops),
        "watchdog": None if started is None else started.after,
    }
