"""The child process: runs one module of CPython's tests and writes what happened to each test, one JSON line an event.

A line is flushed before the test starts, so that a test which kills the process or hangs (faulthandler ends it) is
known to the parent by its name.
"""

import argparse
import faulthandler
import json
import sys
import time
import traceback
import unittest
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import hocket

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Recorder(unittest.TestResult):
    """Writes `start` and `end` events; a test with several failures (sub-tests, cleanups) keeps all of them."""

    def __init__(self, out: TextIO, test_timeout: float, usage: Any | None, twin_of: Callable[[str], str]) -> None:
        super().__init__()
        self._out = out
        self._usage = usage
        self._twin_of = twin_of
        self._test_timeout = test_timeout
        self._outcome = "passed"
        self._details: list[str] = []
        self._began = 0.0
        self._usage_before: Any = None
        self._current: str | None = None

    def emit(self, **event: Any) -> None:
        self._out.write(json.dumps(event) + "\n")
        self._out.flush()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._current = test.id()
        self._outcome, self._details = "passed", []
        self._usage_before = self._usage.copy() if self._usage is not None else None
        self._began = time.monotonic()
        self._arm()
        self.emit(event="start", id=self._current, baseline=self._twin_of(self._current))

    def _arm(self) -> None:
        faulthandler.dump_traceback_later(self._test_timeout, exit=True, file=sys.__stderr__)

    def stopTest(self, test: unittest.TestCase) -> None:
        # Armed all the time: what runs between two tests, and after the last, can hang as well.
        self._arm()
        if self._current is None:
            # unittest of 3.12.1 stops tests that it has skipped without starting them.
            return
        used = self._usage.since(self._usage_before) if self._usage is not None else None
        self.emit(
            event="end",
            id=self._current,
            outcome=self._outcome,
            detail="\n".join(self._details),
            seconds=time.monotonic() - self._began,
            loops=used.loops if used else 0,
            tasks=used.tasks if used else 0,
            futures=used.futures if used else 0,
        )
        self._current = None
        super().stopTest(test)

    def skip_module(self, dotted: str, reason: str) -> None:
        self._outside_test(dotted, "skipped", reason)

    def _outside_test(self, name: str, outcome: str, detail: str) -> None:
        """A class or module fixture, or an import, ended the matter before any test."""
        self.emit(event="start", id=name, baseline=name)
        self.emit(event="end", id=name, outcome=outcome, detail=detail, seconds=0.0, loops=0, tasks=0, futures=0)

    def _failed(self, test: Any, err: ExcInfo) -> None:
        detail = "".join(traceback.format_exception(*err))
        if self._current is None:
            self._outside_test(test.id(), "failed", detail)
        else:
            self._outcome = "failed"
            self._details.append(detail)

    def addError(self, test: Any, err: ExcInfo) -> None:
        self._failed(test, err)

    def addFailure(self, test: Any, err: ExcInfo) -> None:
        self._failed(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: ExcInfo | None) -> None:
        if err is not None:
            self._failed(subtest, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        if self._current is None:
            self._outside_test(test.id(), "skipped", reason)
        elif self._outcome == "passed":
            self._outcome = "skipped"
            self._details.append(reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: ExcInfo) -> None:
        self._details.append("expected failure")

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._outcome = "failed"
        self._details.append("unexpected success")

    def printErrors(self) -> None:
        """Nothing: the events carry it."""


def tests_in(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_in(test)
        else:
            yield test


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--module", required=True, help="dotted name")
    parser.add_argument("--side", choices=("hocket", "accelerated", "stock"), required=True)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--test-timeout", type=float, required=True)
    parser.add_argument("--only", type=Path, help="file of test ids, one a line")
    parser.add_argument("--skip", type=Path, help="file of test ids not to run")
    parser.add_argument("-k", dest="patterns", action="append", default=[], help="substring of the test ids to run")
    options = parser.parse_args()

    faulthandler.enable(file=sys.__stderr__)
    if not sys.warnoptions:
        warnings.simplefilter("default")
    only = set(options.only.read_text().split("\n")) if options.only else None
    skip = set(options.skip.read_text().split("\n")) if options.skip else set()

    usage = None
    twin_of: Callable[[str], str] = str
    if options.side != "stock":
        from . import doors, variants

        doors.open_all()
        if options.side == "accelerated":
            hocket.accelerate()
        variants.add_to(options.module)
        usage, twin_of = doors.USAGE, variants.twin_of

    suite = unittest.TestSuite()
    with options.events.open("a", encoding="utf-8") as out:
        recorder = Recorder(out, options.test_timeout, usage, twin_of)
        try:
            loaded = unittest.defaultTestLoader.loadTestsFromName(options.module)
        except unittest.SkipTest as skipped:
            recorder.skip_module(options.module, str(skipped))
            loaded = unittest.TestSuite()
        for test in tests_in(loaded):
            name = test.id()
            if only is not None and name not in only:
                continue
            if options.patterns and not any(pattern in name for pattern in options.patterns):
                continue
            if name in skip:
                recorder.emit(event="withheld", id=name)
            else:
                suite.addTest(test)
        suite.run(recorder)
        recorder.emit(event="complete")


if __name__ == "__main__":
    main()
