"""What the engine asks of the world: the time, what has become ready, and to be woken.

Every way to wait is a `Driver`.  Time, waiting and readiness come to the engine through it and through nothing else,
so a driver that invents them runs a program in virtual time.  The real ones live in `hocket.drivers`.

A driver keeps, for each descriptor, who is to run when it can be read and who when it can be written.  The bookkeeping
is the same for all and is done here; a driver says how to tell the kernel (`_arm`) and how to wait (`poll`).

What is not promised: the order in which ready descriptors are reported, and that a reported one is still ready when its
runnable runs.  Reports are level-triggered: a descriptor that is still ready is reported again in the next turn.
"""

from __future__ import annotations

from hocket.core import fork
from hocket.core.ready import Ready, Runnable

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.measure import ticks
    from hocket.native.ring import IO

READ = _READ = 1
WRITE = _WRITE = 2
_ONCE = 4


class Watch:
    """Who waits for one descriptor.  ``armed`` is what the kernel has been asked for: READ, WRITE, both or 0; and ONCE
    if it reports once and then waits to be asked again."""

    __slots__ = ("armed", "reader", "writer")

    def __init__(self) -> None:
        self.armed = 0
        self.reader: Runnable | None = None
        self.writer: Runnable | None = None


class Driver:
    """The contract, and the bookkeeping that all drivers share.  For the loop's own thread, but for `wake`."""

    #: How users choose it.
    name = ""

    __slots__ = ("__weakref__", "_owner", "_watches", "can_report_once", "watched")

    def __init__(self) -> None:
        self._watches: list[Watch | None] = []
        # In the child of a fork: the process that this driver belongs to.
        self._owner = 0
        #: Whether the kernel can be asked to report once and no more: `add_reader_once`.
        self.can_report_once = False
        #: How many descriptors are being watched.
        self.watched = 0

    # -- What a driver must say

    def time(self) -> float:
        """The time in seconds, from an arbitrary start; never runs backwards."""
        raise NotImplementedError(f"{type(self).__name__} must define time()")

    def resolution(self) -> float:
        """The smallest step of `time`, in seconds: timers this close are due together."""
        raise NotImplementedError(f"{type(self).__name__} must define resolution()")

    def poll(self, timeout: float, ready: Ready) -> None:
        """Wait *timeout* seconds at most (negative: without limit; 0: not at all), `Ready.stamp` the end of it, and
        push onto *ready* whoever waits for a descriptor that has become ready.  Returns early when woken, or when a
        signal arrives."""
        raise NotImplementedError(f"{type(self).__name__} must define poll()")

    def wake(self) -> None:
        """End the wait under way, or the next one.  The one method that any thread may call, also after `close`."""
        raise NotImplementedError(f"{type(self).__name__} must define wake()")

    def close(self) -> None:
        """Watch nothing any more, and give everything back to the kernel.  May be called twice."""
        self._watches = []
        self.watched = 0

    def disown(self, owner: int) -> None:
        """In the child of a fork: close what is open, and never again tell the kernel what to watch, for that is shared
        with *owner*, the parent.  A driver that holds descriptors extends this."""
        self._owner = owner

    def _arm(self, fd: int, before: int, after: int) -> None:
        """Have the kernel report what *after* names for *fd*, where it reported *before* until now; 0 is nothing.
        A driver that can may be asked for ONCE beside READ: no second report before it is asked again."""
        raise NotImplementedError(f"{type(self).__name__} must define _arm()")

    # -- What all drivers share

    def add_reader(self, fd: int, runnable: Runnable) -> Runnable | None:
        """Run *runnable* in each turn in which *fd* can be read.  Returns whom it replaces."""
        watch = self._watch(fd)
        # Even if it is armed already: the number may have been closed and handed out again without our knowing.
        self._change(fd, watch, (watch.armed | _READ) & ~_ONCE)
        previous = watch.reader
        watch.reader = runnable
        return previous

    def add_reader_once(self, fd: int, runnable: Runnable) -> None:
        """Run *runnable* in the next turn in which *fd* can be read; it stays, and is asked for again by another call.
        As `add_reader` if the driver cannot do so, or while somebody waits for writing, too."""
        watch = self._watch(fd)
        once = _ONCE if self.can_report_once and not watch.armed & _WRITE else 0
        self._change(fd, watch, (watch.armed & ~_ONCE) | _READ | once)
        watch.reader = runnable

    def reader(self, fd: int) -> Runnable | None:
        """Who waits to read from *fd*."""
        watch = self._watched(fd)
        return None if watch is None else watch.reader

    def reports_once(self, fd: int) -> bool:
        """Whether *fd* is reported once and then no more."""
        watch = self._watched(fd)
        return watch is not None and watch.armed & _ONCE != 0

    def add_writer(self, fd: int, runnable: Runnable) -> Runnable | None:
        """Run *runnable* in each turn in which *fd* can be written.  Returns whom it replaces."""
        watch = self._watch(fd)
        self._change(fd, watch, (watch.armed | _WRITE) & ~_ONCE)
        previous = watch.writer
        watch.writer = runnable
        return previous

    def remove_reader(self, fd: int) -> Runnable | None:
        """Stop watching *fd* for reading.  Returns who waited for it; None: nobody did."""
        watch = self._watched(fd)
        if watch is None or watch.reader is None:
            return None
        previous = watch.reader
        watch.reader = None
        self._change(fd, watch, watch.armed & ~_READ & ~_ONCE)
        return previous

    def remove_writer(self, fd: int) -> Runnable | None:
        """Stop watching *fd* for writing.  Returns who waited for it; None: nobody did."""
        watch = self._watched(fd)
        if watch is None or watch.writer is None:
            return None
        previous = watch.writer
        watch.writer = None
        self._change(fd, watch, watch.armed & ~_WRITE)
        return previous

    def watches(self) -> list[tuple[int, Runnable | None, Runnable | None]]:
        """Every descriptor that is watched, who waits to read from it and who to write, for those who look from
        outside; from any thread."""
        found: list[tuple[int, Runnable | None, Runnable | None]] = []
        for fd in range(len(self._watches)):
            watch = self._watched(fd)
            if watch is not None and watch.armed:
                found.append((fd, watch.reader, watch.writer))
        return found

    def interest(self, fd: int) -> int:
        """What *fd* is watched for: READ, WRITE, both, or 0."""
        watch = self._watched(fd)
        return 0 if watch is None else watch.armed & ~_ONCE

    def _watched(self, fd: int) -> Watch | None:
        if fd < 0 or fd >= len(self._watches):
            return None
        return self._watches[fd]

    def _watch(self, fd: int) -> Watch:
        if self._owner:
            raise RuntimeError(fork.refusal(self._owner))
        if fd < 0:
            raise ValueError(f"expected an open file descriptor, got {fd}")
        if fd >= len(self._watches):
            self._watches.extend([None] * (fd + 1 - len(self._watches)))
        watch = self._watches[fd]
        if watch is None:
            watch = self._watches[fd] = Watch()
        return watch

    def _change(self, fd: int, watch: Watch, after: int) -> None:
        if self._owner:
            return
        before = watch.armed
        self._arm(fd, before, after)
        watch.armed = after
        self.watched += (1 if after else 0) - (1 if before else 0)

    def _report(self, fd: int, events: int, ready: Ready) -> None:
        """Push onto *ready* whoever waits for *events* on *fd*."""
        watch = self._watched(fd)
        if watch is None:
            return
        if ready.ring is not None:
            ready.ring.note(IO, events, ready.loop, 0, ticks(), 0, fd, 0, 0)
        if events & _READ and watch.reader is not None:
            ready.push(watch.reader)
        if events & _WRITE and watch.writer is not None:
            ready.push(watch.writer)
