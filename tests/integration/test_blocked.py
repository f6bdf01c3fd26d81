"""The watchdog, in an aiohttp application under load: who blocks is named while it lasts."""

from __future__ import annotations

import contextlib
import http.client
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import hocket

pytest.importorskip("aiohttp")

APP = Path(__file__).with_name("programs") / "blocking_app.py"


#: What a second report begins with.
OVER = (" blocked the event loop ", " could not go on ", " could not run for ")


class why(str):
    """Words that a report must have, unless it says that the machine was too busy for the first tenth of a second."""


def missing_in(seen: str, words: Iterable[str]) -> set[str]:
    starved = "the machine has no processor" in seen
    return {word for word in words if word not in seen and not (starved and isinstance(word, why))}


def line_of(text: str) -> int:
    lines = APP.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


class App:
    """The application, and who uses it."""

    def __init__(self, after: str) -> None:
        environment = {**os.environ, "HOCKET_BLOCKED_AFTER": after}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hocket", "run", str(APP)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.told: list[str] = []
        self.times: list[float] = []
        self.reports: queue.Queue[str] = queue.Queue()
        self.answered = 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._read)]
        self._threads += [threading.Thread(target=self._load) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        self.process.kill()
        for thread in self._threads:
            thread.join(30)
        self.process.wait(30)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told.append(line)
            self.times.append(time.monotonic())
            self.reports.put(line)

    def _load(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.get("fine")
                self.answered += 1
            time.sleep(0.002)

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", f"/{path}")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def named_while_it_lasts(self, path: str, *words: str) -> None:
        """Ask for *path*; a report with these *words* must come before the answer does."""
        while not self.reports.empty():
            self.reports.get_nowait()
        answered = threading.Event()

        def ask() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.get(path)
            answered.set()

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            seen = ""
            over = False
            missing = set(words)
            until = time.monotonic() + 30
            # What was told before the second report was told while it lasted, even if it is heard only later.
            while missing and not over and time.monotonic() < until:
                if answered.is_set():
                    until = min(until, time.monotonic() + 2)
                try:
                    line = self.reports.get(timeout=0.02)
                except queue.Empty:
                    continue
                # (Not if it is on another place: a busy machine has kept somebody else waiting.)
                over = any(word in line for word in OVER) and any(word in line for word in words if " in " in word)
                if not over:
                    seen += line
                missing = missing_in(seen, words)
            assert not missing, f"{missing} not in:\n{seen}"
        finally:
            asking.join(60)

    def is_over(self, *words: str) -> None:
        """The second report must come, with these *words* in one line."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if any(all(word in line for word in words) for line in self.told):
                return
            time.sleep(0.02)
        raise AssertionError(f"no line has {words}:\n{''.join(self.told)}")


@pytest.fixture
def app() -> Iterator[App]:
    app = App("0.1")
    try:
        app.get("fine")
        yield app
    finally:
        app.stop()


def test_time_sleep(app: App):
    """A call that waits is named with task, file and line, while it waits."""
    place = f"{APP}:{line_of('time.sleep(1)')} in sleeps"
    app.named_while_it_lasts("sleeps", why("has been blocking"), place, "task 'Task-", why("a call does not return"))
    app.is_over(" blocked the event loop ", place, "a call does not return: it waits")


def test_a_busy_loop(app: App):
    """Python code that computes is named while it does."""
    app.named_while_it_lasts("computes", why("has been blocking"), " in computes", "task 'Task-", str(APP))
    app.is_over(" blocked the event loop ", " in computes", "Python code computes")


#: On these versions aiohttp makes tasks of asyncio's own class, whose names nobody can read without the interpreter.
UNREAD = "a callback" if (3, 12) <= sys.version_info < (3, 14) else "task 'Task-"

needs_no_interpreter = pytest.mark.skipif(
    not hocket.is_compiled(), reason="uncompiled, nobody can look on while something holds the interpreter's lock"
)


@needs_no_interpreter
def test_a_call_that_lets_nobody_else_run(app: App):
    """A call into C that keeps the interpreter is named all the same, while it lasts."""
    place = f"{APP}:{line_of('total = sum')} in calls"
    app.named_while_it_lasts("calls", why("blocked for "), place, UNREAD, why("a call does not return"))
    app.is_over(" blocked the event loop ", place, "a call does not return: it computes")


@needs_no_interpreter
def test_a_long_collection(app: App):
    """The collector is named, and the line that it interrupts; by whoever gets to it first: what it calls lets others
    run now and then."""
    app.get("prepare")
    place = f"{APP}:{line_of('gc.collect()')} in collects"
    app.named_while_it_lasts("collects", place, why("the garbage collector is at work"))
    app.is_over(" blocked the event loop ", place, "the garbage collector is at work")


@needs_no_interpreter
def test_a_thread_that_keeps_the_lock(app: App):
    """The thread that has the interpreter's lock is named, with its line."""
    place = f"{APP}:{line_of('    sum(range(60_000_000))')} in hog"
    app.named_while_it_lasts("hogged", why("another thread has the interpreter's lock"), why(place))
    if not any("the machine has no processor" in line for line in app.told):
        app.is_over("has the interpreter's lock", place)


@pytest.mark.slow
def test_a_clean_load_is_left_in_peace():
    """Nothing is reported of an application that does its work.

    For as many seconds as HOCKET_CLEAN_LOAD says; the promise is of ten minutes.  That a busy machine has no processor
    for the loop is true if it is told, and blames nobody on the loop.
    """
    seconds = float(os.environ.get("HOCKET_CLEAN_LOAD", "20"))
    app = App(os.environ.get("HOCKET_CLEAN_LOAD_AFTER", "0.25"))
    try:
        time.sleep(seconds)
        assert app.answered > 10 * seconds
        reports = [(when, line) for when, line in zip(app.times, app.told, strict=False) if not line.startswith("  ")]
        starved = [when for when, line in reports if "the machine has no processor" in line]
        print(f"{app.answered:,} requests; the machine had no processor {len(starved)} times")
        # It may keep the one who tells of it waiting, too, who has the interpreter's lock.
        assert [line for when, line in reports if not any(abs(when - then) < 2 for then in starved)] == []
    finally:
        app.stop()
