"""The watchdog: who blocks a loop is named while it lasts, and why when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hocket
from hocket.core import scheduler
from hocket.observe import Blockage, Watchdog, watchdog
from hocket.observe.facts import Place
from tests.leftovers import no_new_threads

compiled_only = pytest.mark.skipif(
    not hocket.is_compiled(), reason="uncompiled, nobody can look on while something holds the interpreter's lock"
)


#: A share of the time that something has blocked.
LOCK = "waiting for the interpreter's lock"


class Reports(list[Blockage]):
    """What a watchdog has reported; `lasting` is set by the first report on something that lasts.

    Only what is *wanted* counts: on a busy machine a loop that begins or ends may be reported, too.
    """

    def __init__(
        self, dog: Watchdog, wanted: Callable[[Blockage], bool] = lambda blockage: blockage.name == "culprit"
    ) -> None:
        super().__init__()
        self.wanted = wanted
        self.lasting = threading.Event()
        self.over = threading.Event()
        dog.listeners.append(self.take)

    def take(self, blockage: Blockage) -> None:
        if self.wanted(blockage):
            self.append(blockage)
            (self.over if blockage.over else self.lasting).set()

    def wait(self) -> None:
        """Block until it is reported, and for a moment more, in which nothing else can become the main cause."""
        self.lasting.wait(30)
        time.sleep(0.3)


@pytest.fixture
def dog(tmp_path: Path) -> Iterator[Watchdog]:
    """A watchdog that writes what nobody else can to a file."""
    with open(tmp_path / "output", "wb") as output:
        with Watchdog(0.1, output=output.fileno()) as dog:
            yield dog


def run(body: Callable[[], Any], name: str = "culprit") -> None:
    """Run *body* in a task with this name, on a loop of its own."""

    async def main() -> None:
        async def culprit() -> None:
            result = body()
            if result is not None:
                await result

        await asyncio.create_task(culprit(), name=name)

    hocket.run(main())


def line_of(function: Callable[..., Any], text: str) -> int:
    """The line of *function* in which *text* is."""
    code = function.__code__
    lines = Path(code.co_filename).read_text(encoding="utf-8").splitlines()
    return next(number for number in range(code.co_firstlineno, len(lines)) if text in lines[number - 1])


def test_a_sleeping_step_is_named_while_it_sleeps(dog: Watchdog):
    """The first report comes before the step is over, with task, file, line and cause."""
    reports = Reports(dog)

    def body() -> None:
        reports.lasting.wait(30)
        time.sleep(0.3)

    run(body)
    assert reports.over.wait(10)
    first, last = reports
    assert (first.kind, first.over, last.over) == ("task", False, True)
    assert first.where == Place(__file__, line_of(body, "reports.lasting.wait"), body.__qualname__)
    assert first.cause in ("blocking-call", "starved-machine") and last.cause == "blocking-call"
    assert first.number == last.number
    assert last.seconds >= first.seconds >= 0.1
    assert "it waits" in str(last)


def test_a_busy_loop_is_python_code(dog: Watchdog):
    """Python code that computes is told from a call that does not return."""
    reports = Reports(dog)

    def body() -> None:
        total = 0
        begun = time.thread_time()
        while not reports.lasting.is_set() or time.thread_time() - begun < 0.3:
            # Or else it would be in those calls whenever the kernel takes the processor. There are steps enough that a
            # few looks find it in different ones.
            for number in range(1000):
                total += number * 3
                total ^= number << 2
                total %= 65_521
                total -= number // 5

    run(body)
    assert reports.over.wait(10)
    first, last = reports
    assert first.where is not None and first.where.function == body.__qualname__
    assert last.cause == "python"


def test_a_call_that_computes_is_no_python_code(dog: Watchdog):
    """A long call into C is a blocking call, also if it is on the processor all the time."""
    reports = Reports(dog)

    def body() -> None:
        begun = time.thread_time()
        sum(range(30_000_000))
        assert time.thread_time() - begun > 0.1

    run(body)
    assert reports.over.wait(10)
    last = reports[-1]
    assert last.over
    assert last.cause == "blocking-call"
    assert "computes" in last.why


def test_the_garbage_collector_is_named(dog: Watchdog):
    """A collection is not blamed on the line that happens to set it off."""
    reports = Reports(dog)
    garbage: list[Any] = [[] for _ in range(200_000)]
    for one in garbage:
        one.append(garbage)

    def body() -> None:
        begun = time.thread_time()
        while time.thread_time() - begun < 0.5:
            gc.collect()

    try:
        run(body)
    finally:
        garbage.clear()
    assert reports.over.wait(10)
    assert reports[-1].cause == "garbage-collector"


def test_a_callback_is_named(dog: Watchdog):
    """What blocks need not be a task."""
    reports = Reports(dog, lambda blockage: "blocking_callback" in str(blockage.name))

    def blocking_callback() -> None:
        reports.wait()

    async def main() -> None:
        asyncio.get_running_loop().call_soon(blocking_callback)
        await asyncio.sleep(0.01)

    hocket.run(main())
    assert reports.over.wait(10)
    last = reports[-1]
    assert (last.kind, last.task) == ("callback", 0)
    assert "blocking_callback" in str(last.name)


@compiled_only
def test_who_holds_the_lock_is_named_by_the_sentinel_itself(dog: Watchdog, tmp_path: Path):
    """A call that lets nobody else have the interpreter is reported while it lasts, on the descriptor given."""
    reports = Reports(dog, lambda blockage: blockage.name == "gréedy")

    def body() -> None:
        begun = time.thread_time()
        sum(range(60_000_000))
        assert time.thread_time() - begun > 0.3

    run(body, name="gréedy")
    assert reports.over.wait(10)
    text = (tmp_path / "output").read_text(encoding="utf-8")
    assert "task 'gréedy': " in text
    assert f"{__file__}:{line_of(body, 'sum(')} in {body.__qualname__}" in text


@compiled_only
def test_a_thread_that_holds_the_lock_is_named(dog: Watchdog, tmp_path: Path):
    """A loop that is ready and does not get the interpreter back says who has it."""
    reports = Reports(dog, lambda blockage: not blockage.over or LOCK in dict(blockage.shares))

    def hog() -> None:
        sum(range(60_000_000))

    async def main() -> None:
        thread = threading.Thread(target=hog, name="hog")
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.01)

    hocket.run(main())
    assert reports.over.wait(10)
    last = next(one for one in reports if one.over)
    if dict(last.shares).get("waiting for a processor", 0) < 0.1:  # Or else this machine is a cause of its own.
        assert last.cause == "interpreter-lock"
        output = (tmp_path / "output").read_text(encoding="utf-8")
        assert "another thread has the interpreter's lock" in output or "no processor for it" in output
    assert last.holder is not None
    assert last.holder_stack[-1] == Place(__file__, line_of(hog, "sum("), hog.__qualname__)


def test_a_clean_run_is_not_reported(dog: Watchdog):
    """Steps that are short, however many, and a loop that waits, are nobody's offence."""
    dog = Watchdog(2.0)
    with dog:
        reports = Reports(dog, lambda blockage: True)

        async def main() -> None:
            for _ in range(300):
                await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(20)))
            await asyncio.sleep(2.5)

        hocket.run(main())
    assert reports == []


def test_both_reports_are_logged(dog: Watchdog, caplog: pytest.LogCaptureFixture):
    """One warning while it lasts, with the stack, and one when it is over."""
    reports = Reports(dog)
    with caplog.at_level(logging.WARNING, "hocket.watchdog"):
        run(reports.wait)
        assert reports.over.wait(10)
        dog.stop()
    told = [record.getMessage() for record in caplog.records if record.name == "hocket.watchdog"]
    first, last = (message for message in told if "task 'culprit'" in message)
    assert first.startswith(
        ("task 'culprit' has been blocking the event loop of thread 'MainThread' for ", "the event loop of thread ")
    )
    assert f'  File "{__file__}", line ' in first
    assert last.startswith("task 'culprit' blocked the event loop of thread 'MainThread' for ")


def test_a_machine_without_a_processor_blames_nobody_on_the_loop():
    """The task has not blocked the loop; they could not go on, both of them."""
    here = Place("a.py", 1, "f")
    lasts = Blockage(
        number=1,
        time=0.0,
        loop=1,
        thread=1,
        thread_name="MainThread",
        kind="task",
        task=7,
        name="Task-7",
        seconds=0.25,
        over=False,
        cause="starved-machine",
        shares=(),
        stack=(here,),
        where=here,
        holder=None,
        holder_stack=(),
    )
    why = "with task 'Task-7' for 0.250 s, at a.py:1 in f: the machine has no processor for it"
    loop = "the event loop of thread 'MainThread'"
    assert str(lasts) == f"{loop} has not been able to go on {why}"
    assert str(dataclasses.replace(lasts, over=True)) == f"{loop} could not go on {why}"


def test_one_place_is_logged_once_in_ten_seconds():
    """Further reports are counted, and the count is said with the next one."""
    limit = watchdog.Limit()
    here, there = Place("a.py", 1, "f"), Place("b.py", 2, "g")
    assert [limit.allows(here, now) for now in (0.0, 1.0, 9.0)] == [True, False, False]
    assert limit.allows(there, 9.5)
    assert limit.left_out() == " (2 more since the last report)"
    assert limit.left_out() == ""
    assert limit.allows(here, 10.0)


def test_at_most_twenty_places_are_logged_a_minute():
    """A program that blocks everywhere does not drown its log."""
    limit = watchdog.Limit()
    allowed = [limit.allows(Place("a.py", line, "f"), 0.1 * line) for line in range(30)]
    assert allowed == [True] * 20 + [False] * 10
    assert limit.allows(Place("a.py", 99, "f"), 61.0)


def test_a_listener_that_raises_is_removed(dog: Watchdog, caplog: pytest.LogCaptureFixture):
    """The others are called all the same, and it is said."""

    def broken(blockage: Blockage) -> None:
        raise ValueError("broken listener")

    dog.listeners.append(broken)
    reports = Reports(dog)
    run(lambda: reports.lasting.wait(30) and None)
    assert reports.over.wait(10)
    assert broken not in dog.listeners
    assert "broken listener" in caplog.text


def test_what_lasts_when_the_loop_stops_is_over(dog: Watchdog):
    """The last step of a run is reported like any other."""
    reports = Reports(dog, lambda blockage: blockage.where is not None and blockage.where.function == main.__qualname__)

    async def main() -> None:
        await asyncio.sleep(0)
        reports.lasting.wait(30)

    hocket.run(main())
    assert reports.over.wait(10)
    assert reports[-1].over


def test_a_loop_that_runs_already_is_watched():
    """A watchdog may be started at any time, from a task."""
    dog = Watchdog(0.1)
    reports = Reports(dog, lambda blockage: blockage.kind == "task")

    async def main() -> None:
        with dog:
            await asyncio.sleep(0)
            reports.lasting.wait(30)
            await asyncio.sleep(0.2)

    hocket.run(main())
    assert reports.lasting.is_set()


def test_stopped_it_leaves_nothing_behind():
    """No thread, no listener, no callback of the collector."""
    before = len(gc.callbacks), len(scheduler.on_run), len(scheduler.on_stop)
    with no_new_threads():
        with Watchdog(0.1) as dog:
            hocket.run(asyncio.sleep(0.01))
            assert dog.watches
        assert not dog.watches
    assert (len(gc.callbacks), len(scheduler.on_run), len(scheduler.on_stop)) == before


def test_it_can_be_started_again():
    """Stopped and started, it watches as before."""
    dog = Watchdog(0.1)
    for _ in range(2):
        with dog:
            reports = Reports(dog)
            run(lambda: reports.lasting.wait(30) and None)  # noqa: B023
            assert reports.over.wait(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_loops_come_and_go_while_it_starts_and_stops():
    """It holds no loop that has gone, and no loop keeps it: in a process of its own, which would not survive that."""
    program = """
import asyncio, gc, logging, os, threading, time, weakref
import hocket
from hocket.observe import Watchdog

logging.disable(logging.CRITICAL)
until = time.monotonic() + 3
seen = weakref.WeakSet()

def come_and_go():
    while time.monotonic() < until:
        async def main():
            seen.add(asyncio.get_running_loop())
            await asyncio.sleep(0)
            time.sleep(0.002)
        hocket.run(main())

threads = [threading.Thread(target=come_and_go) for _ in range(4)]
for thread in threads:
    thread.start()
with open(os.devnull, "w") as nowhere:
    while time.monotonic() < until:
        with Watchdog(0.001, output=nowhere.fileno()):
            time.sleep(0.003)
    for thread in threads:
        thread.join()
    gc.collect()
assert threading.active_count() == 1, threading.enumerate()
assert not seen, list(seen)
"""
    subprocess.run([sys.executable, "-X", "faulthandler", "-c", program], timeout=60, check=True)


def test_it_goes_on_in_the_child_of_a_fork(dog: Watchdog, tmp_path: Path):
    """The child has threads of its own as soon as it runs a loop."""
    hocket.run(asyncio.sleep(0))
    process = os.fork()
    if process == 0:
        code = 1
        with contextlib.suppress(BaseException):
            reports = Reports(dog)
            run(reports.wait)
            code = 0 if reports.over.wait(10) and reports[-1].name == "culprit" else 2
        os._exit(code)
    assert os.waitpid(process, 0)[1] == 0


@pytest.mark.parametrize("after", [0, -1.0])
def test_a_threshold_is_more_than_nothing(after: float):
    """What cannot be meant is refused."""
    with pytest.raises(ValueError, match="more than 0 seconds"):
        Watchdog(after)


def test_the_environment_says_how_long_a_step_may_take():
    """A number of seconds, or that there is to be no watchdog."""
    assert watchdog.threshold("0.25") == 0.25
    assert watchdog.threshold("0") is watchdog.threshold("off") is None
    assert watchdog.threshold("") == 0.1
    for wrong in ("soon", "-1", "nan", "inf"):
        with pytest.raises(ValueError, match="HOCKET_BLOCKED_AFTER: expected a number of seconds"):
            watchdog.threshold(wrong)


def test_the_environment_starts_one():
    """HOCKET_BLOCKED_AFTER is all that a program needs."""
    program = "import hocket, time\nasync def main():\n    time.sleep(0.5)\nhocket.run(main())\n"
    environment = {**os.environ, "HOCKET_BLOCKED_AFTER": "0.1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "task 'Task-1' has been blocking the event loop" in done.stderr
    assert "for 0." in done.stderr and "line 3, in main" in done.stderr
