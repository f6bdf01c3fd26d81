"""The driver for Linux: epoll for descriptors, an eventfd to be woken.

epoll reports errors and hang-ups whether asked for or not.  Whoever waits for the descriptor must learn of them, and
only a read or a write can tell what happened: so both bits count as readable and as writable, as asyncio has it.

Level-triggered, because edge-triggered reports would oblige every reader to read until ``EAGAIN``: one system call more
for each message, and no bound on what one busy peer may take in a turn.  Whoever waits for
one report at a time (``sock_recv``) asks for one (``EPOLLONESHOT``): he need not be taken out of the kernel's list and
put back for each wait, and what he has not read by then is reported when he asks again.

A wait is rounded up to whole milliseconds, as epoll wants it.
"""

from __future__ import annotations

from hocket.core.driver import Driver
from hocket.core.ready import Ready
from hocket.native.clock import RESOLUTION
from hocket.native.epoll import Poller

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
        self.can_report_once = True

    def time(self) -> float:
        return monotonic()

    def resolution(self) -> float:
        return RESOLUTION

    def poll(self, timeout: float, ready: Ready) -> None:
        poller = self._poller
        count = poller.wait(timeout)
        ready.stamp()
        for index in range(count):
            self._report(poller.fd(index), poller.events(index), ready)

    def wake(self) -> None:
        self._poller.wake()

    def close(self) -> None:
        Driver.close(self)
        self._poller.close()

    def disown(self, owner: int) -> None:
        Driver.disown(self, owner)
        self._poller.close()

    def _arm(self, fd: int, before: int, after: int) -> None:
        self._poller.control(fd, before, after)
