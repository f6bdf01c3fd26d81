"""The driver for Linux: epoll for descriptors, an eventfd to be woken.

epoll reports errors and hang-ups whether asked for or not.  Whoever waits for the descriptor must learn of them, and
only a read or a write can tell what happened: so both bits count as readable and as writable, as asyncio has it.

Level-triggered, because edge-triggered reports would oblige every reader to read until ``EAGAIN``: one system call more
for each message, and no bound on what one busy peer may take in a turn.

A wait is rounded up to whole milliseconds, as epoll wants it.
"""

from __future__ import annotations

from hocket.core.driver import READ, WRITE, Driver
from hocket.core.ready import Ready
from hocket.native.clock import RESOLUTION
from hocket.native.epoll import IN, OUT, Poller

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.clock import monotonic


class EpollDriver(Driver):
    """Waits with ``epoll_wait``."""

    name = "epoll"

    __slots__ = ("_poller",)

    def __init__(self) -> None:
        Driver.__init__(self)
        self._poller = Poller()

    def time(self) -> float:
        return monotonic()

    def resolution(self) -> float:
        return RESOLUTION

    def poll(self, timeout: float, ready: Ready) -> None:
        poller = self._poller
        for index in range(poller.wait(timeout)):
            happened = poller.events(index)
            events = 0
            if happened & ~OUT:
                events = READ
            if happened & ~IN:
                events |= WRITE
            self._report(poller.fd(index), events, ready)

    def wake(self) -> None:
        self._poller.wake()

    def close(self) -> None:
        Driver.close(self)
        self._poller.close()

    def _arm(self, fd: int, before: int, after: int) -> None:
        # READ and WRITE are not epoll's own bits.
        self._poller.control(fd, _bits(before), _bits(after))


def _bits(interest: int) -> int:
    return (IN if interest & READ else 0) | (OUT if interest & WRITE else 0)
