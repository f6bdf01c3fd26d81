"""Work that would keep everybody else waiting for an answer: done in a thread aside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import TypeVar

T = TypeVar("T")

_spent = 0.0


def spent() -> float:
    """The processor time of all such threads that have ended, in seconds."""
    return _spent


#: How often is looked whether it is done, in seconds.
_EVERY = 0.01


def in_a_thread(work: Callable[[], T]) -> Generator[float, None, T]:
    """What *work* returns, or raises: for the generators of `hocket.observe.answers`::

        found = yield from in_a_thread(lambda: graph(leaks=False))

    It gives numbers meanwhile: for so many seconds there is nothing to do for it.
    """
    outcome: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        global _spent
        try:
            outcome.append(work())
        except BaseException as error:
            errors.append(error)
        _spent += time.thread_time()

    thread = threading.Thread(target=run, name="hocket-agent-aside", daemon=True)
    thread.start()
    wait = 0.0005
    while thread.is_alive():
        yield wait
        wait = min(2 * wait, _EVERY)
    if errors:
        raise errors[0]
    return outcome[0]
