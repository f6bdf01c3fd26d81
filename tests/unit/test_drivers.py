"""The contract of drivers: each real one, and one with invented time, which shows that nothing passes them by."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hocket
from hocket import drivers
from hocket.core.driver import READ, WRITE, Driver
from hocket.core.handles import Handle
from hocket.core.ready import Ready
from tests.leftovers import no_new_descriptors

# Long enough for a loaded machine, short enough for a hang to be noticed.
LONG = 10.0


class Loop:
    """All that a handle asks of its loop."""

    def get_debug(self) -> bool:
        return False


def runnable() -> Handle:
    return Handle(print, (), Loop())


@pytest.fixture(params=drivers.available())
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    made = drivers.make(request.param)
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    with one, other:
        yield one, other


def poll(driver: Driver, timeout: float = 0.0) -> list[Any]:
    ready = Ready()
    driver.poll(timeout, ready)
    return ready.snapshot()


# -- Who is told


def test_reader_is_told_when_something_came(driver: Driver, pair: Any) -> None:
    """A reader runs when its descriptor can be read, and in every turn in which it still can."""
    reader = runnable()
    assert driver.add_reader(pair[0].fileno(), reader) is None
    assert poll(driver) == []
    pair[1].send(b"x")
    assert [item is reader for item in poll(driver, LONG)] == [True]
    assert [item is reader for item in poll(driver, LONG)] == [True]
    pair[0].recv(10)
    assert poll(driver) == []


def test_writer_is_told_while_there_is_room(driver: Driver, pair: Any) -> None:
    """A writer runs while its descriptor takes data, and no longer once it is full."""
    writer = runnable()
    driver.add_writer(pair[0].fileno(), writer)
    assert [item is writer for item in poll(driver, LONG)] == [True]
    with pytest.raises(BlockingIOError):
        while True:
            pair[0].send(b"x" * 65536)
    assert poll(driver) == []


def test_reader_and_writer_of_one_descriptor(driver: Driver, pair: Any) -> None:
    """Both are told in one turn, the reader first; removing one leaves the other."""
    fd, reader, writer = pair[0].fileno(), runnable(), runnable()
    driver.add_reader(fd, reader)
    driver.add_writer(fd, writer)
    assert driver.interest(fd) == READ | WRITE and driver.watched == 1
    pair[1].send(b"x")
    assert [id(item) for item in poll(driver, LONG)] == [id(reader), id(writer)]
    assert driver.remove_reader(fd) is reader
    assert driver.interest(fd) == WRITE
    assert [id(item) for item in poll(driver, LONG)] == [id(writer)]
    driver.add_reader(fd, reader)
    assert driver.remove_writer(fd) is writer
    assert [id(item) for item in poll(driver, LONG)] == [id(reader)]
    assert driver.remove_reader(fd) is reader
    assert driver.interest(fd) == 0 and driver.watched == 0


def test_who_waits_for_what_can_be_seen_from_outside(driver: Driver, pair: Any) -> None:
    """Every descriptor that is watched, in order; those that are not watched any more are not told."""
    (one, other), reader, writer = sorted(end.fileno() for end in pair), runnable(), runnable()
    before = driver.watches()
    driver.add_reader(one, reader)
    driver.add_writer(one, writer)
    driver.add_writer(other, writer)
    assert [watch for watch in driver.watches() if watch not in before] == [
        (one, reader, writer),
        (other, None, writer),
    ]
    driver.remove_reader(one)
    driver.remove_writer(one)
    driver.remove_writer(other)
    assert driver.watches() == before


def test_replacing_gives_back_who_was_there(driver: Driver, pair: Any) -> None:
    """A second reader takes the place of the first; only it is told."""
    fd, first, second = pair[0].fileno(), runnable(), runnable()
    driver.add_reader(fd, first)
    assert driver.add_reader(fd, second) is first
    assert driver.add_writer(fd, first) is None
    assert driver.add_writer(fd, second) is first
    pair[1].send(b"x")
    assert {id(item) for item in poll(driver, LONG)} == {id(second)}
    assert driver.watched == 1


@pytest.mark.parametrize("fd", [-1, 0, 7, 100_000])
def test_removing_who_is_not_there(driver: Driver, fd: int) -> None:
    """Removing from a descriptor that is not watched returns None and changes nothing."""
    assert driver.remove_reader(fd) is None
    assert driver.remove_writer(fd) is None
    assert driver.interest(fd) == 0 and driver.watched == 0


def test_negative_descriptor_is_refused(driver: Driver) -> None:
    """A closed socket's descriptor, -1, is a ValueError that shows it."""
    with pytest.raises(ValueError, match="-1"):
        driver.add_reader(-1, runnable())


def test_descriptor_that_is_not_open_is_refused(driver: Driver, pair: Any) -> None:
    """The kernel's error comes through, and the descriptor does not count as watched."""
    fd = pair[0].fileno()
    pair[0].close()
    with pytest.raises((OSError, ValueError)):
        driver.add_reader(fd, runnable())
    assert driver.interest(fd) == 0 and driver.watched == 0


def test_end_of_stream_is_told_to_the_reader(driver: Driver, pair: Any) -> None:
    """A peer that closes makes its descriptor readable."""
    reader = runnable()
    driver.add_reader(pair[0].fileno(), reader)
    pair[1].close()
    assert [id(item) for item in poll(driver, LONG)] == [id(reader)]


def test_hang_up_is_told_to_whoever_waits(driver: Driver) -> None:
    """Who waits to write into a pipe without readers learns of it: only a write can tell what happened."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, b"x" * 65536)
    writer = runnable()
    driver.add_writer(writing, writer)
    assert poll(driver) == []
    os.close(reading)
    assert [id(item) for item in poll(driver, LONG)] == [id(writer)]
    driver.remove_writer(writing)
    os.close(writing)


def test_number_closed_and_handed_out_again(driver: Driver, pair: Any) -> None:
    """A descriptor that was closed while watched, whose number another one got, can be watched anew."""
    fd, old, new = pair[0].fileno(), runnable(), runnable()
    driver.add_reader(fd, old)
    pair[0].close()
    reading, writing = os.pipe()
    if writing == fd:  # A lower number has become free meanwhile.
        writing = os.dup(writing)
    if reading != fd:
        os.dup2(reading, fd)
        os.close(reading)
    driver.add_reader(fd, new)
    os.write(writing, b"x")
    assert [id(item) for item in poll(driver, LONG)] == [id(new)]
    driver.remove_reader(fd)
    assert poll(driver) == []
    os.close(fd)
    os.close(writing)


def test_removing_after_the_descriptor_was_closed(driver: Driver, pair: Any) -> None:
    """Closing first and removing then, the wrong way round, is tolerated."""
    fd, reader = pair[0].fileno(), runnable()
    driver.add_reader(fd, reader)
    pair[0].close()
    assert driver.remove_reader(fd) is reader
    assert driver.watched == 0
    assert poll(driver) == []


def test_many_descriptors(driver: Driver) -> None:
    """Each of many descriptors is told of, once a turn."""
    readers = []
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            one, other = (stack.enter_context(sock) for sock in socket.socketpair())
            readers.append((one.fileno(), runnable()))
            driver.add_reader(*readers[-1])
            other.send(b"x")
        assert driver.watched == 200
        assert sorted(id(item) for item in poll(driver, LONG)) == sorted(id(reader) for _, reader in readers)
        for fd, reader in readers:
            assert driver.remove_reader(fd) is reader
    assert driver.watched == 0


# -- Waiting and being woken


@pytest.mark.parametrize("timeout", [0.001, 0.0301, 0.0799])
def test_waits_as_long_as_asked(driver: Driver, timeout: float) -> None:
    """poll() does not return before its time: a loop that wakes early spins until the timer is due."""
    before = driver.time()
    assert poll(driver, timeout) == []
    assert driver.time() - before >= timeout - driver.resolution() - 1e-4


def test_zero_does_not_wait(driver: Driver) -> None:
    """A timeout of zero looks and returns."""
    before = driver.time()
    for _ in range(10):
        poll(driver, 0.0)
    assert driver.time() - before < LONG / 2


def test_time_is_the_monotonic_clock(driver: Driver) -> None:
    """time() is what time.monotonic() reads, and resolution() its smallest step."""
    before = time.monotonic()
    between = driver.time()
    after = time.monotonic()
    # The twins read the same clock with different roundings.
    assert before - 1e-6 <= between <= after + 1e-6
    assert driver.resolution() == time.get_clock_info("monotonic").resolution


def test_woken_from_another_thread(driver: Driver) -> None:
    """wake() ends a wait without limit, reports nobody, and counts once."""
    thread = threading.Timer(0.05, driver.wake)
    thread.start()
    before = driver.time()
    assert poll(driver, LONG) == []
    assert driver.time() - before < LONG / 2
    thread.join()
    before = driver.time()
    poll(driver, 0.02)
    assert driver.time() - before >= 0.019


def test_woken_before_it_waits(driver: Driver) -> None:
    """A wake-up that comes first is not lost; many are as good as one."""
    for _ in range(1000):
        driver.wake()
    before = driver.time()
    assert poll(driver, LONG) == []
    assert driver.time() - before < LONG / 2
    before = driver.time()
    poll(driver, 0.02)
    assert driver.time() - before >= 0.019


def test_wake_beyond_what_a_pipe_holds(driver: Driver) -> None:
    """However often one wakes, wake() does not block."""
    for _ in range(20_000):
        driver.wake()
    assert poll(driver, LONG) == []


def test_signal_handler_runs_during_the_wait(driver: Driver) -> None:
    """A Python signal handler runs while the driver waits, and what it raises comes out of poll()."""

    class Rang(Exception):
        pass

    def ring(*_: object) -> None:
        raise Rang

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with pytest.raises(Rang):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            poll(driver, LONG)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# -- The end


def test_close_gives_everything_back(driver: Driver, pair: Any) -> None:
    """Closing twice is harmless, nothing is watched any more, and no descriptor stays open."""
    with no_new_descriptors():
        made = drivers.make(driver.name)
        made.add_reader(pair[0].fileno(), runnable())
        made.close()
        made.close()
        assert made.watched == 0 and made.interest(pair[0].fileno()) == 0


def test_closed_driver_refuses_to_watch_and_may_be_woken(driver: Driver, pair: Any) -> None:
    """wake() after close() is harmless, for threads that come late; watching is a ValueError."""
    driver.close()
    driver.wake()
    with pytest.raises(ValueError):
        driver.add_reader(pair[0].fileno(), runnable())
    assert driver.watched == 0


# -- Choosing one


def test_names() -> None:
    """auto is the first that the system has."""
    assert set(drivers.available()) <= set(drivers.NAMES)
    made = drivers.make("auto")
    assert made.name == drivers.available()[0]
    made.close()


@pytest.mark.parametrize("name", drivers.available())
def test_environment_chooses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOCKET_DRIVER decides where the program says nothing, and is overruled where it does."""
    monkeypatch.setenv("HOCKET_DRIVER", name)
    loop = hocket.new_event_loop()
    assert loop._driver.name == name
    loop.close()
    loop = hocket.new_event_loop(driver="selector")
    assert loop._driver.name == "selector"
    loop.close()


def test_empty_environment_is_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty HOCKET_DRIVER is as good as none."""
    monkeypatch.setenv("HOCKET_DRIVER", "")
    made = drivers.make()
    assert made.name == drivers.available()[0]
    made.close()


def test_unknown_name_lists_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not exist is a ValueError that says who asked and lists what there is; nothing stays open."""
    monkeypatch.setenv("HOCKET_DRIVER", "iocp")
    with no_new_descriptors():
        with pytest.raises(ValueError, match=r"driver: .*'kqueue'.*auto, epoll, selector"):
            hocket.new_event_loop(driver="kqueue")
        with pytest.raises(ValueError, match=r"HOCKET_DRIVER: .*'iocp'.*auto, epoll, selector"):
            hocket.new_event_loop()


def test_a_driver_that_the_system_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no epoll, asking for it is a RuntimeError, and auto takes the portable one."""
    monkeypatch.setattr(drivers, "available", lambda: ["selector"])
    with pytest.raises(RuntimeError, match=r"epoll.*auto, selector"):
        drivers.make("epoll")
    made = drivers.make("auto")
    assert made.name == "selector"
    made.close()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("time", ()), ("resolution", ()), ("poll", (0.0, Ready())), ("wake", ()), ("_arm", (0, 0, 1))],
)
def test_what_a_driver_must_define(method: str, arguments: tuple[Any, ...]) -> None:
    """A driver that leaves something out is told what, by name."""

    class Lazy(Driver):
        pass

    with pytest.raises(NotImplementedError, match=f"Lazy must define {method}"):
        getattr(Lazy(), method)(*arguments)


# -- The seam


class VirtualDriver(Driver):
    """Time that passes only when nobody has anything to do."""

    name = "virtual"

    def __init__(self) -> None:
        Driver.__init__(self)
        self.now = 0.0
        self.waits: list[float] = []

    def time(self) -> float:
        return self.now

    def resolution(self) -> float:
        return 1e-9

    def poll(self, timeout: float, ready: Ready) -> None:
        assert timeout >= 0, "nobody would ever wake this program"
        self.waits.append(timeout)
        self.now += timeout

    def wake(self) -> None: ...

    def _arm(self, fd: int, before: int, after: int) -> None: ...


def virtual(main: Callable[[], Any]) -> tuple[Any, VirtualDriver]:
    driver = VirtualDriver()
    with asyncio.Runner(loop_factory=lambda: hocket.new_event_loop(driver=driver)) as runner:
        return runner.run(main()), driver


def test_a_day_passes_at_once() -> None:
    """A program that sleeps for hours runs in no time, in the order of its clocks, at the very times it asked for."""
    log: list[tuple[float, str]] = []

    async def bell(name: str, hours: int, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(hours * 3600)
            log.append((asyncio.get_running_loop().time() / 3600, name))

    async def main() -> float:
        await asyncio.gather(bell("three", 3, 4), bell("four", 4, 3))
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    result, driver = virtual(main)
    assert time.monotonic() - before < 60
    assert result == driver.now == 12 * 3600
    times = [(3, "three"), (4, "four"), (6, "three"), (8, "four"), (9, "three"), (12, "four"), (12, "three")]
    assert log[:5] == times[:5] and sorted(log[5:]) == times[5:]


def test_timeouts_follow_the_drivers_clock() -> None:
    """asyncio.timeout and wait_for know no other time than the driver's."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7200):
                await asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(1e6), 1800)
        return asyncio.get_running_loop().time()

    assert virtual(main)[0] == 9000.0


def test_driver_is_asked_to_wait_no_longer_than_it_can() -> None:
    """A timer that lies years ahead is waited for in pieces that every kernel accepts."""

    async def main() -> None:
        await asyncio.sleep(30 * 86400)

    _, driver = virtual(main)
    assert max(driver.waits) <= 86400
    assert driver.now == pytest.approx(30 * 86400)


def test_cancelled_timers_cost_no_wake_up() -> None:
    """The driver is never asked to wait for a timer that was cancelled."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in range(1, 100):
            loop.call_later(delay, print).cancel()
        await asyncio.sleep(1000)

    _, driver = virtual(main)
    assert [wait for wait in driver.waits if wait] == [1000.0]
