"""The one switch that turns the waiting of policies off, for tests.

While it is off, retries follow each other at once, rate limiters let everybody pass, and injected latency is none.
What is not waiting goes on as it is: attempts are counted, budgets spent, circuits opened, calls bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_waits = True


def set_waiting(waits: bool) -> bool:
    """Whether policies may wait; returns how it was.  For the whole process.

    hocket.resilience.set_waiting(False)  # in a conftest.py
    """
    global _waits
    if not isinstance(waits, bool):
        raise TypeError(f"set_waiting() expected a bool, got {waits!r}")
    before = _waits
    _waits = waits
    return before


def waits() -> bool:
    """True if policies may wait."""
    return _waits


@contextmanager
def no_waiting() -> Iterator[None]:
    """No policy waits inside of this block, in any task of the process.

    with hocket.resilience.no_waiting():
        assert hocket.run(fetch_with_retries()) == ...
    """
    before = set_waiting(False)
    try:
        yield
    finally:
        set_waiting(before)
