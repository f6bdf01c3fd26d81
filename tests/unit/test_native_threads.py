"""Threads seen from outside: `hocket.native.threads`, on both legs."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

import hocket
from hocket.native import threads
from tests.leftovers import no_new_descriptors, open_descriptors

LINUX = sys.platform == "linux"


class Sleeper(threading.Thread):
    """Waits, a few calls deep, until it is let go."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.begun = threading.Event()
        self.end = threading.Event()

    def run(self) -> None:
        self.über_den_Umweg(("a line",
                             "that is long"))  # fmt: skip

    def über_den_Umweg(self, words: tuple[str, ...]) -> None:
        self.begun.set()
        self.end.wait(
            60,
        )


def rests(thread: threading.Thread) -> bool:
    """Whether it sleeps and gets no processor meanwhile, though the interpreter's lock is free."""
    if not LINUX:
        time.sleep(0.05)
        return True

    def look() -> tuple[str, str]:
        task = Path(f"/proc/self/task/{thread.native_id}")
        return (task / "schedstat").read_text(), (task / "stat").read_text().rpartition(") ")[2][0]

    first = look()
    time.sleep(0.02)
    return first == look() and first[1] == "S"


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A thread that sleeps: its number."""
    thread = Sleeper()
    thread.start()
    assert thread.begun.wait(30)
    deadline = time.monotonic() + 30
    while not rests(thread):
        assert time.monotonic() < deadline
    assert thread.ident is not None
    yield thread.ident
    thread.end.set()
    thread.join()


def stack_of(thread: int) -> list[tuple[str, int | None, str]]:
    frame = sys._current_frames()[thread]
    found: list[tuple[str, int | None, str]] = []
    at = frame
    while at is not None:
        found.append((at.f_code.co_filename, at.f_lineno, at.f_code.co_qualname))
        at = at.f_back  # type: ignore[assignment]
    return found


def test_the_stack_is_that_of_its_frames(sleeper: int):
    """Files, lines and functions are those that Python tells, also where a statement has several lines."""
    assert threads.stack_of_thread(sleeper) == stack_of(sleeper)


def test_every_line_of_a_thread_is_right():
    """Wherever a thread is, in the middle of loops, calls, handlers and comprehensions, the line is Python's."""
    wanted: list[tuple[int | None, int]] = []

    def here() -> None:
        me = threading.get_ident()
        frame = sys._getframe(1)
        wanted.append((frame.f_lineno, threads.stack_of_thread(me)[1][1]))

    def program(depth: int) -> None:
        here()
        for _ in range(2):
            here()
            _ = [here() for _ in range(2)]
        try:
            here()
            raise ValueError(
                "that is handled",
                here(),
            )
        except ValueError:
            here()
        finally:
            here()
        with memoryview(b"") as view:
            (
                here(),
                len(view),
                here(),
            )
        if depth:
            program(depth - 1)

    program(2)
    assert [line for line, _ in wanted] == [line for _, line in wanted]


def test_no_more_than_sixteen_places():
    """Of a deep stack the innermost places are read."""

    def deeper(depth: int) -> list[tuple[str, int, str]]:
        return deeper(depth - 1) if depth else threads.stack_of_thread(threading.get_ident())

    stack = deeper(40)
    assert len(stack) == 16
    assert {function for _, _, function in stack[1:]} == {deeper.__qualname__}


def test_a_long_file_name_keeps_its_end():
    """What is cut off is the beginning, which says less."""
    name = "ü" * 400 + "/app.py"
    namespace: dict[str, object] = {"look": lambda: threads.stack_of_thread(threading.get_ident())}
    exec(compile("seen = look()", name, "exec"), namespace)
    file = namespace["seen"][1][0]  # type: ignore[index]
    assert (file and name.endswith(file)) or file == name


def test_a_thread_that_is_not_there_has_no_stack():
    """An unknown number is nowhere."""
    assert threads.stack_of_thread(1) == []
    assert threads.position_of_thread(1) == 0


def test_a_position_stays_while_a_thread_sleeps(sleeper: int):
    """A thread inside of one call stays where it is."""
    before = threads.position_of_thread(sleeper)
    time.sleep(0.01)
    assert before == threads.position_of_thread(sleeper) != 0


def test_who_asks_has_the_lock():
    """The thread that runs Python code has the interpreter's lock."""
    assert threads.thread_with_lock() == threading.get_ident()


def test_threads_have_their_names(sleeper: int):
    """By number, also when they have ended and somebody still knows them."""
    names = threads.thread_names()
    assert names[threading.get_ident()] == threading.current_thread().name
    assert sleeper in names
    for _ in range(100):
        before = threading.Thread(target=int, name="ended before, and had the same number, perhaps")
        ended = threading.Thread(target=int, name="has ended")
        for thread in (before, ended):
            thread.start()
            thread.join()
        name = threads.thread_names()[ended.ident]  # type: ignore[index]
        if name == "has ended":
            break
        # One that lives has got the number meanwhile, and is right to be named: an agent's or a watchdog's may start.
    assert name == "has ended"


def test_names_while_threads_are_made(monkeypatch: pytest.MonkeyPatch):
    """Another thread may come in the middle of looking through those that have ended."""

    class Changing(weakref.WeakSet[threading.Thread]):
        times = 0

        def __iter__(self) -> Iterator[threading.Thread]:
            self.times += 1
            if self.times < 3:
                raise RuntimeError("Set changed size during iteration")
            return super().__iter__()

    ended = threading.Thread(name="has ended")
    changing = Changing([ended])
    monkeypatch.setattr(threading, "_dangling", changing)
    assert threading.main_thread().name in threads.thread_names().values()
    assert changing.times == 3


def test_a_meter_counts_the_time_on_a_processor():
    """A thread that computes uses as much as it says of itself."""
    meter = threads.ThreadMeter(threading.get_ident())
    outer = time.thread_time_ns()
    before = meter.read()[0]
    begun = time.thread_time_ns()
    while time.thread_time_ns() - begun < 20_000_000:
        pass
    used = meter.read()[0] - before
    assert 20_000_000 <= used <= time.thread_time_ns() - outer + 1_000
    meter.close()


@pytest.mark.skipif(not LINUX, reason="only Linux tells the state of a thread")
def test_a_meter_knows_who_sleeps(sleeper: int):
    """A thread that waits in a call sleeps, and uses nothing."""
    meter = threads.ThreadMeter(sleeper)
    first = meter.read()
    time.sleep(0.02)
    last = meter.read()
    assert last[3] == "S"
    assert last[0] == first[0]
    assert last[1:3] == first[1:3]
    meter.close()


@pytest.mark.skipif(not LINUX, reason="only Linux counts who waits for a processor")
def test_a_meter_counts_how_often_a_thread_gets_a_processor():
    """Each wait in a call that ends is one more."""
    meter = threads.ThreadMeter(threading.get_ident())
    before = meter.read()[2]
    for _ in range(20):  # Some may be over before they begin, if the machine has no processor to give.
        time.sleep(0.001)
    assert meter.read()[2] >= before + 10
    meter.close()


def test_a_meter_of_nobody():
    """There is nothing to be measured of a thread that is not there."""
    with pytest.raises(LookupError, match="there is no thread 1"):
        threads.ThreadMeter(1)


@pytest.mark.skipif(not LINUX, reason="descriptors are looked up in /proc")
def test_a_meter_gives_its_descriptors_back(sleeper: int):
    """Closed twice, or let go of, nothing stays open."""
    with no_new_descriptors():
        before = open_descriptors()
        meter = threads.ThreadMeter(sleeper)
        assert len(open_descriptors() - before) == 2
        meter.close()
        meter.close()
    with no_new_descriptors():
        threads.ThreadMeter(sleeper)


def test_which_leg_this_is():
    """The compiled twin is used where hocket is compiled."""
    assert threads.__file__.endswith(".py") is not hocket.is_compiled()
