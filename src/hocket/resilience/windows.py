"""Counting what has happened lately: a window of time that moves on in ten steps."""

from __future__ import annotations

_SLOTS = SLOTS = 10


class Slot:
    """What happened in one step of a `Window`."""

    __slots__ = ("calls", "marked", "slow")

    def __init__(self) -> None:
        self.calls = 0
        self.marked = 0
        self.slow = 0


class Window:
    """How many ``calls`` there were within the last *seconds*, how many of them were ``marked``, and how many ``slow``.

    It is divided into ten steps, and the oldest leaves as a whole: what is counted lies between nine and ten tenths of
    *seconds* back.  Steps begin at whole multiples of their length.
    """

    __slots__ = ("_length", "_number", "_slots", "calls", "marked", "slow")

    def __init__(self, seconds: float) -> None:
        self._length = seconds / _SLOTS
        self._slots = [Slot() for _ in range(_SLOTS)]
        self._number = 0
        self.calls = 0
        self.marked = 0
        self.slow = 0

    def add(self, now: float, calls: int, marked: int, slow: int) -> None:
        """Count, at the time *now*."""
        self.move(now)
        slot = self._slots[self._number % _SLOTS]
        slot.calls += calls
        slot.marked += marked
        slot.slow += slow
        self.calls += calls
        self.marked += marked
        self.slow += slow

    def move(self, now: float) -> None:
        """Let go of what is too old at the time *now*."""
        number = int(now / self._length)
        if number == self._number:
            return
        if number < self._number or number >= self._number + _SLOTS:
            # Nothing for long; or the clock is that of another loop.
            self.clear()
        else:
            while self._number < number:
                self._number += 1
                slot = self._slots[self._number % _SLOTS]
                self.calls -= slot.calls
                self.marked -= slot.marked
                self.slow -= slot.slow
                slot.calls = slot.marked = slot.slow = 0
        self._number = number

    def clear(self) -> None:
        """Forget everything."""
        for slot in self._slots:
            slot.calls = slot.marked = slot.slow = 0
        self.calls = self.marked = self.slow = 0
