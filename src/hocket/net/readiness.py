"""One wait for a descriptor: what stands behind an ``await`` of the loop's `sock_*` methods.

The waiter stands in the driver as itself.  Its only report ends it: it leaves the driver and wakes the task, which then
does the reading itself.  So nothing has been taken from the socket yet if the task was cancelled meanwhile, and
nothing is lost.  With an *attempt*, the waiter works on by itself, report after report, until that says it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hocket.core.driver import Driver
from hocket.core.future import Future
from hocket.core.ready import Runnable


class Readiness(Runnable):
    """Waits until *fd* can be read or, if *writing*, written; then, if there is one, until *attempt* returns True.

    Await `future`, and call `stop` whatever comes of it.  Another reader (or writer) that is set for the descriptor
    meanwhile takes its place: `future` then stays pending, as with asyncio.
    """

    __slots__ = ("_attempt", "_driver", "_fd", "_writing", "future")

    def __init__(self, loop: Any, fd: int, writing: bool, attempt: Callable[[], bool] | None = None) -> None:
        self.publishes = False
        self.future: Any = Future(loop=loop)
        self._driver: Driver = loop._driver
        self._fd = fd
        self._writing = writing
        self._attempt = attempt
        if writing:
            self._driver.add_writer(fd, self)
        else:
            self._driver.add_reader(fd, self)

    def run(self) -> None:
        if self.future._done:
            # Cancelled, and the task has not come to say so yet.
            self.stop()
            return
        if self._attempt is not None:
            try:
                if not self._attempt():
                    return
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self.fail(error)
                return
        self.stop()
        self.future.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Have whoever waits told of *error*."""
        self.stop()
        if not self.future._done:
            self.future.set_exception(error)

    def stop(self) -> None:
        """Wait no more.  Leaves alone whoever waits for the descriptor by now.  May be called twice."""
        driver = self._driver
        self._attempt = None
        if self._fd < 0:
            return
        if self._writing:
            removed = driver.remove_writer(self._fd)
            if removed is not None and removed is not self:
                driver.add_writer(self._fd, removed)
        else:
            removed = driver.remove_reader(self._fd)
            if removed is not None and removed is not self:
                driver.add_reader(self._fd, removed)
        self._fd = -1
