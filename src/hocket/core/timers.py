"""What is due when: a binary heap of timers, ordered by time and, within one instant, by the order of setting.

Every timer knows its place in the heap, so a cancelled one leaves at once: a service that sets a timeout for each
request and cancels nearly all of them holds no dead timers, whatever their number and however far they lie ahead.
"""

from __future__ import annotations

from hocket.core.handles import TimerHandle, TimerStore

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.freelist import track


class TimerHeap(TimerStore):
    """Timers, the earliest first.  For the loop's own thread only."""

    __slots__ = ("__weakref__", "_heap", "_set_so_far", "_tracked_at")

    def __init__(self) -> None:
        self._heap: list[TimerHandle] = []
        self._set_so_far = 0
        # How many had been set when the collector was told of all that were pending.
        self._tracked_at = 0

    def __len__(self) -> int:
        return len(self._heap)

    def pending(self) -> bool:
        """True if there is any timer."""
        return len(self._heap) > 0

    def first(self) -> TimerHandle | None:
        """The timer that is due first, or None."""
        return self._heap[0] if self._heap else None

    def push(self, timer: TimerHandle) -> None:
        """Add *timer*, which must not be in a heap."""
        self._set_so_far += 1
        timer._order = self._set_so_far
        timer._heap = self
        self._heap.append(timer)
        self._rise(timer, len(self._heap) - 1)

    def pop(self) -> TimerHandle:
        """Take the timer that is due first.  The heap must not be empty."""
        timer = self._heap[0]
        self.remove(timer)
        return timer

    def remove(self, timer: TimerHandle) -> None:
        """Take *timer* out, wherever it stands."""
        last = self._heap.pop()
        index = timer._index
        timer._index = -1
        timer._heap = None
        if last is timer:
            return
        # The last one fills the gap; it may belong above it or below it.
        if index > 0 and _before(last, self._heap[(index - 1) >> 1]):
            self._rise(last, index)
        else:
            self._sink(last, index)

    def clear(self) -> None:
        """Let go of every timer, without running it."""
        for timer in self._heap:
            timer._index = -1
            timer._heap = None
        self._heap = []

    def snapshot(self) -> list[TimerHandle]:
        """Every timer, in no particular order, for those who look from outside."""
        return list(self._heap)

    def track_all(self) -> None:
        """Let the garbage collector know of every timer that it does not know of yet."""
        if self._tracked_at == self._set_so_far:
            return
        self._tracked_at = self._set_so_far
        for timer in self._heap:
            track(timer)

    def _rise(self, timer: TimerHandle, index: int) -> None:
        heap = self._heap
        while index > 0:
            above = (index - 1) >> 1
            parent = heap[above]
            if not _before(timer, parent):
                break
            heap[index] = parent
            parent._index = index
            index = above
        heap[index] = timer
        timer._index = index

    def _sink(self, timer: TimerHandle, index: int) -> None:
        heap = self._heap
        size = len(heap)
        below = 2 * index + 1
        while below < size:
            child = heap[below]
            if below + 1 < size and _before(heap[below + 1], child):
                below += 1
                child = heap[below]
            if not _before(child, timer):
                break
            heap[index] = child
            child._index = index
            index = below
            below = 2 * index + 1
        heap[index] = timer
        timer._index = index


def _before(one: TimerHandle, other: TimerHandle) -> bool:
    return one._due < other._due or (one._due == other._due and one._order < other._order)
