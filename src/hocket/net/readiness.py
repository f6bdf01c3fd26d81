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


class OnceReader(Runnable):
    """Waits until the descriptor *fd* can be read, time and again, for one report at a time.

    It stays with the driver between two waits, which spares a call to the kernel for each.  That is harmless where a
    report is made once (`Driver.add_reader_once`): what nobody waits for is not reported again.
    """

    __slots__ = ("_driver", "_fd", "_future")

    def __init__(self, driver: Driver, fd: int) -> None:
        self.publishes = False
        self._driver = driver
        self._fd = fd
        self._future: Future | None = None

    def run(self) -> None:
        future = self._future
        if future is None:
            if not self._driver.reports_once(self._fd) and self._driver.reader(self._fd) is self:
                self._driver.remove_reader(self._fd)
            return
        self._future = None
        if not future._done:
            future._finish(None)

    def waits(self) -> bool:
        """Whether somebody waits now."""
        return self._future is not None

    def over(self, future: Future) -> None:
        """Whoever waited with *future* does not any more."""
        if self._future is future:
            self._future = None
        elif self._future is not None:
            # Another has taken his place.
            return
        if not self._driver.can_report_once and self._driver.reader(self._fd) is self:
            self._driver.remove_reader(self._fd)


def once_reader(loop: Any, driver: Driver, fd: int) -> OnceReader:
    """What waits for *fd* from now on: the one that did before, if nobody else reads from it."""
    reader = driver.reader(fd)
    if not isinstance(reader, OnceReader):
        loop._ensure_fd_no_transport(fd)
        reader = OnceReader(driver, fd)
    # Also if it is there already, and whatever socket has this number by now.
    driver.add_reader_once(fd, reader)
    return reader
