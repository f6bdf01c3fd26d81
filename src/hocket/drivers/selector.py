"""The driver for any system: the standard `selectors`, and a pair of sockets to be woken.

It is also what a user's own selector plugs into: ``hocket.new_event_loop`` hands one over where a program asks for it.
"""

from __future__ import annotations

import contextlib
import selectors
import socket

from hocket.core.driver import READ, WRITE, Driver
from hocket.core.ready import Ready
from hocket.native import clock

# The bits are the same, which spares a translation at each event.
assert (selectors.EVENT_READ, selectors.EVENT_WRITE) == (READ, WRITE)


class SelectorDriver(Driver):
    """Waits with a `selectors.BaseSelector`, by default the best that the system has."""

    name = "selector"

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__()
        self._selector = selectors.DefaultSelector() if selector is None else selector
        self._closed = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._wakefd = self._wake_reader.fileno()
        self._selector.register(self._wakefd, READ)

    def time(self) -> float:
        return clock.monotonic()

    def resolution(self) -> float:
        return clock.RESOLUTION

    def poll(self, timeout: float, ready: Ready) -> None:
        reported = self._selector.select(None if timeout < 0 else timeout)
        ready.stamp()
        for key, events in reported:
            if key.fd == self._wakefd:
                with contextlib.suppress(BlockingIOError, InterruptedError):
                    self._wake_reader.recv(4096)
            else:
                self._report(key.fd, events, ready)

    def wake(self) -> None:
        # A full buffer is as good as a wake-up, and a closed socket has nobody to wake.
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def close(self) -> None:
        super().close()
        self._release()

    def disown(self, owner: int) -> None:
        super().disown(owner)
        self._release()

    def _release(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _arm(self, fd: int, before: int, after: int) -> None:
        if self._closed:
            raise ValueError("the driver is closed")
        # Never modify(): it asks the kernel nothing if the events are the same, although the number may have been
        # closed and handed out again behind our back.  Whoever closed it has taken it out of the kernel's list already.
        with contextlib.suppress(KeyError, OSError):
            self._selector.unregister(fd)
        if after:
            self._selector.register(fd, after)
