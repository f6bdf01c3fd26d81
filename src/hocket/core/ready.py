"""The ready queue: what will run in this turn, first come, first served.

It is a ring over a list whose size is a power of two, so that the place of the *n*-th item is a mask away.  A ready
task stands in it as itself, with no handle and no bound method around it; so does a transport whose socket has become
readable.  All that the ring asks of its items is `Runnable.run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hocket.native.ring import Ring

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.lists import exchange
    from hocket.native.measure import ticks
    from hocket.native.ring import CALL, OWN


class Runnable:
    """What may stand in the ready ring.

    ``publishes`` tells that the item is a task, which announces itself as `asyncio.current_task()` when it runs and
    keeps an `account` of it; before any other item the scheduler makes sure that no task is announced.  ``since`` is
    when it was put into the ring, or, after that, stopped running; in ticks.
    """

    __slots__ = ("publishes", "since")

    publishes: bool
    since: int

    def run(self) -> None:
        """Do what is due.  Only `SystemExit` and `KeyboardInterrupt` may come out of it."""
        raise NotImplementedError(f"{type(self).__name__} must define run()")

    def account(self, waited: int, ran: int, now: int) -> None:
        """Note that it was ready for *waited* ticks, and ran for *ran*, until *now*.  For what ``publishes``."""

    def record(self, ring: Ring, loop: int, since: int, started: int, ended: int) -> None:
        """Write into *ring* that it ran, on the loop with the number *loop*, and was ready *since* when."""
        ring.note(CALL, OWN, loop, 0, started, ended, ring.identity(self), since, 0)


class Ready:
    """A first-in, first-out queue of `Runnable`.  For the loop's own thread only.

    ``now`` is when the last step or wait ended, in ticks.  What becomes ready does so in between, or in the step that
    runs: it counts from there, which costs no look at the clock.  With a ``ring``, the flight recorder's, it looks.
    ``loop`` is the number of the loop there.
    """

    __slots__ = ("_count", "_head", "_mask", "_slots", "loop", "now", "ring")

    def __init__(self) -> None:
        self._slots: list[Any] = [None] * 64
        self._mask = 63
        self._head = 0
        self._count = 0
        self.now = ticks()
        self.ring: Ring | None = None
        self.loop = 0

    def __len__(self) -> int:
        return self._count

    def stamp(self) -> None:
        """Note that a wait has ended: what is put in from now on has become ready now."""
        self.now = ticks()

    def push(self, item: Runnable) -> None:
        """Put *item* behind all others."""
        if self._count > self._mask:
            self._grow()
        item.since = self.now if self.ring is None else ticks()
        self._slots[(self._head + self._count) & self._mask] = item
        self._count += 1

    def pour(self, items: list[Runnable]) -> None:
        """Put all *items* behind all others, in their order, and empty that list.  They tell themselves since when
        they are ready: to look at each, when many have lain for a while, would cost the most.
        """
        count = len(items)
        while self._count + count > self._mask + 1:
            self._grow()
        behind = self._head + self._count
        for index in range(count):
            exchange(self._slots, (behind + index) & self._mask, items, index)
        self._count += count
        del items[:count]

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
        self._slots = self.snapshot() + [None] * (2 * len(self._slots) - self._count)
        self._head = 0
        self._mask = len(self._slots) - 1
