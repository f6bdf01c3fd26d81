"""The ready queue: what will run in this turn, first come, first served.

It is a ring over a list whose size is a power of two, so that the place of the *n*-th item is a mask away.  A ready
task stands in it as itself, with no handle and no bound method around it; so does a transport whose socket has become
readable.  All that the ring asks of its items is `Runnable.run`.
"""

from __future__ import annotations

from typing import Any


class Runnable:
    """What may stand in the ready ring.

    ``publishes`` tells that the item announces itself as `asyncio.current_task()` when it runs; before any other item
    the scheduler makes sure that no task is announced.
    """

    __slots__ = ("publishes",)

    publishes: bool

    def run(self) -> None:
        """Do what is due.  Only `SystemExit` and `KeyboardInterrupt` may come out of it."""
        raise NotImplementedError(f"{type(self).__name__} must define run()")


class Ready:
    """A first-in, first-out queue of `Runnable`.  For the loop's own thread only."""

    __slots__ = ("_count", "_head", "_mask", "_slots")

    def __init__(self) -> None:
        self._slots: list[Any] = [None] * 64
        self._mask = 63
        self._head = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, item: Runnable) -> None:
        """Put *item* behind all others."""
        if self._count > self._mask:
            self._grow()
        self._slots[(self._head + self._count) & self._mask] = item
        self._count += 1

    def pop(self) -> Runnable:
        """Take the item that has waited longest.  The ring must not be empty."""
        item = self._slots[self._head]
        self._slots[self._head] = None
        self._head = (self._head + 1) & self._mask
        self._count -= 1
        return item  # type: ignore[no-any-return]  # a slot that counts holds a Runnable

    def clear(self) -> None:
        """Forget everything, without running it."""
        self._slots = [None] * 64
        self._mask = 63
        self._head = 0
        self._count = 0

    def snapshot(self) -> list[Runnable]:
        """The items in the order in which they will run, for those who look from outside."""
        return [self._slots[(self._head + i) & self._mask] for i in range(self._count)]

    def _grow(self) -> None:
        self._slots = self.snapshot() + [None] * self._count
        self._head = 0
        self._mask = len(self._slots) - 1
