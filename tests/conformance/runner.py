"""Runs modules in child processes and comes to a verdict on each test.

A test that does not pass on hocket runs once more by itself; if it fails again, the stock test that it stands for runs
on asyncio's own loop in the same environment. Only a test that fails on hocket twice and passes on asyncio is hocket's
failure.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from . import exclusions
from .modules import Module

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_IMPORT_ROOT = Path(__file__).resolve().parents[len(__package__.split("."))]
# Children that die take one test with them; a module that keeps killing them is given up.
_MAX_RESTARTS = 8


@dataclass
class Result:
    """What one test did on one side. `outcome`: passed, skipped, failed, died (killed its process, or hung), or
    withheld (not run, because it would hang)."""

    id: str
    baseline: str
    outcome: str = "died"
    detail: str = ""
    seconds: float = 0.0
    loops: int = 0
    tasks: int = 0
    futures: int = 0

    @property
    def ok(self) -> bool:
        return self.outcome in ("passed", "skipped", "withheld")


@dataclass
class Report:
    """The verdict on one module."""

    module: Module
    results: dict[str, Result] = field(default_factory=dict)
    failures: list[Result] = field(default_factory=list)
    # Passed when run a second time, alone.
    flaky: list[Result] = field(default_factory=list)
    # Fail on asyncio in this environment too.
    also_on_stock: list[Result] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    known_bugs: list[str] = field(default_factory=list)
    # Whatever else makes the run worthless: a stale exclusion, hocket not in use, no test at all.
    problems: list[str] = field(default_factory=list)
    partial: bool = False

    @property
    def ok(self) -> bool:
        return not self.failures and not self.problems

    def count(self, outcome: str) -> int:
        return sum(result.outcome == outcome for result in self.results.values())

    @property
    def on_hocket(self) -> int:
        return sum(bool(result.loops or result.tasks or result.futures) for result in self.results.values())

    @property
    def loops(self) -> int:
        return sum(result.loops for result in self.results.values())


def _environment() -> dict[str, str]:
    """The parent's, with import paths made absolute: children start in a directory of their own."""
    inherited = [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*inherited, str(_IMPORT_ROOT)])}


def _read(events: Path) -> tuple[dict[str, Result], bool]:
    """Results so far, and whether the child got to its end."""
    results: dict[str, Result] = {}
    complete = False
    for line in events.read_text(encoding="utf-8").splitlines() if events.exists() else ():
        event = json.loads(line)
        kind = event.pop("event")
        if kind == "start":
            results[event["id"]] = Result(**event)
        elif kind == "end":
            event["baseline"] = results[event["id"]].baseline
            results[event["id"]] = Result(**event)
        elif kind == "withheld":
            results.setdefault(event["id"], Result(event["id"], event["id"], "withheld"))
        else:
            complete = True
    return results, complete


def run_side(
    module: Module,
    side: str,
    *,
    only: Iterable[str] | None = None,
    never: Iterable[str] = (),
    patterns: Iterable[str] = (),
) -> dict[str, Result]:
    """Run the module's tests on `hocket`, `accelerated` or `stock`; survives tests that kill their process."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        events, skip, log = Path(folder, "events"), Path(folder, "skip"), Path(folder, "log")
        command = [
            sys.executable, "-m", f"{__package__}.worker", "--module", module.dotted, "--side", side,
            "--events", str(events), "--skip", str(skip), "--test-timeout", str(module.test_timeout),
        ]  # fmt: skip
        for pattern in patterns:
            command += ["-k", pattern]
        if only is not None:
            Path(folder, "only").write_text("\n".join(only))
            command += ["--only", str(Path(folder, "only"))]
        results: dict[str, Result] = {}
        for _ in range(_MAX_RESTARTS):
            skip.write_text("\n".join([*never, *results]))
            work = Path(tempfile.mkdtemp(dir=folder))
            with log.open("wb") as sink:
                child = subprocess.run(
                    command, cwd=work, env=_environment(), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                    check=False,
                )  # fmt: skip
            known = set(results)
            results, complete = _read(events)
            if complete:
                break
            tail = log.read_text(encoding="utf-8", errors="replace")[-6000:]
            dead = [result for name, result in results.items() if name not in known and result.outcome == "died"]
            if not dead and len(results) > len(known):
                dead = [list(results.values())[-1]]
                dead[0].outcome = "died"
            if not dead:
                # It never reached a test: an import error, or the like.
                name = f"{module.dotted} (exit code {child.returncode})"
                results[name] = Result(name, name, detail=tail)
                break
            for result in dead:
                result.detail += f"the process ended with {child.returncode} in this test, or right after it\n{tail}"
        else:
            name = f"{module.dotted} (given up)"
            results[name] = Result(name, name, detail=f"{_MAX_RESTARTS} of its tests ended their process")
        return results


def check(module: Module, patterns: Iterable[str] = (), *, accelerated: bool = False) -> Report:
    """Run one module on hocket, or with its primitives in place of asyncio's as well, and judge it."""
    patterns = list(patterns)
    known = exclusions.known_bugs(module.name, VERSION)
    excluded = exclusions.for_module(module.name, VERSION, accelerated=accelerated) | known
    side = "accelerated" if accelerated else "hocket"
    report = Report(module, partial=bool(patterns))
    never = [name for name, entry in excluded.items() if entry.never_run]
    report.results = run_side(module, side, never=never, patterns=patterns)

    suspects = [result for name, result in report.results.items() if not result.ok and name not in excluded]
    for _ in range(2):
        if suspects:
            again = run_side(module, side, only=[result.id for result in suspects])
            report.flaky += [result for result in suspects if result.id in again and again[result.id].ok]
            suspects = [result for result in suspects if result not in report.flaky]
    if suspects:
        stock = run_side(module, "stock", only=sorted({result.baseline for result in suspects}))
        for result in suspects:
            on_stock = stock.get(result.baseline)
            failed_there = on_stock is not None and not on_stock.ok
            (report.also_on_stock if failed_there else report.failures).append(result)

    for name, entry in excluded.items():
        listed = "known bug" if name in known else "exclusion of"
        result_or_none = report.results.get(name)
        if result_or_none is None:
            if not report.partial:
                report.problems.append(f"{listed} {entry.test} matches no test on Python {VERSION}")
        elif result_or_none.ok and not entry.never_run and not (accelerated and entry in exclusions.EXCLUSIONS):
            report.problems.append(f"{listed} {entry.test} is stale: it is {result_or_none.outcome} on {VERSION}")
        else:
            (report.known_bugs if name in known else report.excluded).append(name)
    if not report.results:
        report.problems.append("no test ran")
    elif not module.without_hocket and not report.partial and not report.on_hocket:
        report.problems.append("no test used hocket: the doors lead past it")
    return report
