"""Linux's epoll with an eventfd beside it.

The compiled twin calls ``epoll_wait`` on an array of its own; this one goes through `select.epoll`.  Both hand out the
events of one wait by index, so that no list of tuples is made.
"""

from __future__ import annotations

import contextlib
import os
import select

_EVENTS = [
    (select.EPOLLIN if bits & 1 else 0)
    | (select.EPOLLOUT if bits & 2 else 0)
    | (select.EPOLLONESHOT if bits & 4 else 0)
    for bits in range(8)
]


class Poller:
    """One epoll instance and the eventfd that wakes it.

    What may be done with a descriptor is told in two bits: 1, it can be read; 2, it can be written.  A third, 4, asks
    for one report and no more, before `control` is called again.

    The kernel forgets a descriptor when it is closed, and hands its number out again: `control` therefore tolerates a
    registration that is gone, or that is there already.
    """

    __slots__ = ("_epoll", "_events", "_wakefd")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        try:
            self._wakefd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._epoll.register(self._wakefd, select.EPOLLIN)
        except BaseException:
            self._epoll.close()
            raise
        self._events: list[tuple[int, int]] = []

    def fileno(self) -> int:
        """The epoll descriptor; -1 once closed."""
        return -1 if self._epoll.closed else self._epoll.fileno()

    def control(self, fd: int, before: int, after: int) -> None:
        """Report *after* for *fd* from now on, where *before* was reported until now; 0: nothing."""
        if self._epoll.closed:
            raise ValueError("the poller is closed")
        if not after:
            with contextlib.suppress(FileNotFoundError, OSError):
                self._epoll.unregister(fd)
            return
        try:
            if before:
                self._epoll.modify(fd, _EVENTS[after])
            else:
                self._epoll.register(fd, _EVENTS[after])
        except FileNotFoundError:
            self._epoll.register(fd, _EVENTS[after])
        except FileExistsError:
            self._epoll.modify(fd, _EVENTS[after])

    def wait(self, timeout: float) -> int:
        """Wait *timeout* seconds at most (negative: for ever) and return how many events `fd` and `events` tell of."""
        self._events = self._epoll.poll(None if timeout < 0 else timeout, 1024)
        for fd, _ in self._events:
            if fd == self._wakefd:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(fd)
        return len(self._events)

    def fd(self, index: int) -> int:
        """The descriptor of the event at *index*; the poller's own wake-ups bear -1."""
        fd = self._events[index][0]
        return -1 if fd == self._wakefd else fd

    def events(self, index: int) -> int:
        """What can be done now.  Errors and hang-ups, which only an attempt can tell apart, count as both."""
        happened = self._events[index][1]
        return (1 if happened & ~select.EPOLLOUT else 0) | (2 if happened & ~select.EPOLLIN else 0)

    def wake(self) -> None:
        """End the wait under way or the next one; from any thread, and harmless after `close`."""
        if self._wakefd >= 0:
            with contextlib.suppress(OSError):
                os.eventfd_write(self._wakefd, 1)

    def close(self) -> None:
        """Close both descriptors; may be called twice."""
        wakefd, self._wakefd = self._wakefd, -1
        self._epoll.close()
        if wakefd >= 0:
            os.close(wakefd)
