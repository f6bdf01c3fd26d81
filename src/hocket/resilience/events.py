"""What policies decide, told to whoever listens.

A listener is called in the step that decides, with a `Decision`.  It must not wait.  One that raises is removed, and
the log says so: watching never changes what happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hocket.core import asyncio_private

if TYPE_CHECKING:
    from hocket.resilience.policy import Policy

Listener = Callable[["Decision"], object]


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of a policy.

    ``what`` is a word: see each policy's documentation for those that it uses.  ``at`` is the loop's time.  ``error``
    is the exception that it is about, ``seconds`` a time (a delay, a duration), ``number`` a count (of an attempt, or
    a limit); None where there is none.
    """

    policy: Policy
    what: str
    at: float
    error: BaseException | None = None
    seconds: float | None = None
    number: float | None = None


#: Who listens to every policy of the process.
everywhere: list[Listener] = []


def listen(listener: Listener) -> Callable[[], None]:
    """Have *listener* called with each `Decision` of every policy of this process.

    Returns a function that ends it.  Raises `TypeError` if *listener* cannot be called::

        stop = hocket.resilience.listen(lambda decision: print(decision.policy.name, decision.what))
    """
    return add(everywhere, listener)


def add(listeners: list[Listener], listener: Listener) -> Callable[[], None]:
    """Add *listener*; gives what removes it."""
    if not callable(listener):
        raise TypeError(f"listen() expected something to call, got {listener!r}")
    listeners.append(listener)

    def stop() -> None:
        if listener in listeners:
            listeners.remove(listener)

    return stop


def tell(listeners: list[Listener] | None, decision: Decision) -> None:
    """Call those who listen to this policy, and those who listen to all."""
    for those in (listeners, everywhere):
        for listener in list(those or ()):
            try:
                listener(decision)
            except Exception:
                if those is not None and listener in those:
                    those.remove(listener)
                asyncio_private.logger.exception(
                    "A listener for the decisions of %r has failed, and is not called any more", decision.policy.name
                )
