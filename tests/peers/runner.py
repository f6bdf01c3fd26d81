"""Fetch a project, make an environment for it, run its tests, and judge what failed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .project import Project

HERE = Path(__file__).parent
#: Seconds that one suite may take in all, and one test.
SUITE_TIMEOUT = 1200
TEST_TIMEOUT = 60
#: How often a test that failed is run again on hocket before asyncio is asked.
AGAIN = 2


class PeerError(Exception):
    """A suite could not be run; the message says why."""


@dataclass
class Outcome:
    """How a project's tests went."""

    project: str
    version: str
    python: str
    counts: dict[str, int] = field(default_factory=dict)
    excluded: int = 0
    flaky: list[str] = field(default_factory=list)
    on_stock_too: list[str] = field(default_factory=list)
    only_here: list[str] = field(default_factory=list)
    loops: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether hocket did as well as asyncio, and the tests really ran on it."""
        return not self.only_here and any(name.startswith("hocket.") for name in self.loops)


def call(command: list[str | Path], **options: object) -> None:
    """Run *command* quietly; `PeerError` with its last lines if it fails."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if result.returncode:
        words = "\n".join((result.stdout + result.stderr).strip().splitlines()[-15:])
        raise PeerError(f"{' '.join(map(str, command))} failed:\n{words}")


class Suite:
    """One project's tests, in a directory of their own."""

    def __init__(self, project: Project, directory: Path, wheel: Path) -> None:
        self.project = project
        self.directory = directory
        self.python = directory / "venv" / "bin" / "python"
        self.source = directory / f"{project.name}-{project.version}"
        self.wheel = wheel

    def prepare(self) -> None:
        """Fetch and install; what is there already is used again."""
        project = self.project
        self.directory.mkdir(parents=True, exist_ok=True)
        ready = self.directory / "ready"
        wanted = repr((project.version, project.requirements, sys.version))
        if not ready.exists() or ready.read_text() != wanted:
            shutil.rmtree(self.directory)
            self.directory.mkdir(parents=True)
            call([sys.executable, "-m", "venv", self.directory / "venv"])
            pip = [self.python, "-m", "pip", "--disable-pip-version-check", "-q"]
            exact = f"{project.name}=={project.version}"
            call([*pip, "install", exact, "pytest", "pytest-timeout", "pytest-xdist", *project.requirements])
            # Without build isolation pip would need the project's build tools here only to read its name.
            call([*pip, "download", "--no-deps", "--no-binary", project.name, "-d", self.directory, exact])
            with tarfile.open(next(self.directory.glob("*.tar.gz"))) as archive:
                archive.extractall(self.directory, filter="data")
            if project.hidden:
                (self.source / project.hidden).rename(self.source / f"{project.hidden}_as_source")
            ready.write_text(wanted)
        call([self.python, "-m", "pip", "-q", "install", "--no-deps", "--force-reinstall", self.wheel])

    def run(self, loop: str, arguments: tuple[str, ...], report: Path, processes: int) -> dict[str, str]:
        """The outcome of every test, on *loop*."""
        for old in report.parent.glob(f"{report.name}*"):
            old.unlink()
        environment = {
            **os.environ,
            **self.project.environment,
            "HOCKET_PEER_LOOP": loop,
            "HOCKET_PEER_EXCLUDED": json.dumps(list(self.project.excluded)),
            "HOCKET_PEER_REPORT": str(report),
            "PYTHONPATH": str(HERE),
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
        }
        command = [str(self.python), "-m", "pytest", "-p", "hocket_peer_plugin", "-p", "no:cacheprovider", "-q"]
        command += [f"--timeout={TEST_TIMEOUT}", "-n", str(processes), "-o", "addopts=", *arguments]
        with open(report.with_suffix(".log"), "w") as log:
            try:
                subprocess.run(
                    command,
                    cwd=self.source,
                    env=environment,
                    stdout=log,
                    stderr=log,
                    timeout=SUITE_TIMEOUT,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise PeerError(f"{self.project.name} took longer than {SUITE_TIMEOUT} s; see {log.name}") from None
        if not report.exists():
            raise PeerError(f"the tests of {self.project.name} did not start; see {log.name}")
        return dict(json.loads(report.read_text())["outcomes"])

    def made(self, report: Path) -> tuple[Counter[str], int]:
        """The loops that were made by all processes of a run, and how many tests were left out."""
        loops: Counter[str] = Counter()
        excluded: set[str] = set()
        for part in report.parent.glob(f"{report.name}*"):
            told = json.loads(part.read_text())
            loops.update(told["loops"])
            excluded.update(told["excluded"])
        return loops, len(excluded)

    def judge(self, loop: str = "hocket") -> Outcome:
        """Run everything on *loop*, and what failed again, and then on asyncio's."""
        project = self.project
        result = Outcome(project.name, project.version, f"{sys.version_info.major}.{sys.version_info.minor}")
        report = self.directory / f"{loop}.json"
        outcomes = self.run(loop, project.arguments, report, project.processes)
        loops, result.excluded = self.made(report)
        result.loops = dict(loops)
        result.counts = dict(Counter(outcomes.values()))
        failed = sorted(test for test, outcome in outcomes.items() if outcome == "failed")
        for _ in range(AGAIN):
            if failed:
                again = self.run(loop, tuple(failed), self.directory / f"{loop}-again.json", 1)
                result.flaky += [test for test in failed if again.get(test) not in ("failed", None)]
                failed = [test for test in failed if again.get(test) in ("failed", None)]
        if failed:
            stock = self.run("asyncio", tuple(failed), self.directory / "asyncio.json", 1)
            result.on_stock_too = [test for test in failed if stock.get(test) == "failed"]
            result.only_here = [test for test in failed if stock.get(test) != "failed"]
        return result


def build_wheel(directory: Path) -> Path:
    """hocket as a wheel, compiled."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("hocket-*.whl"):
        old.unlink()
    call(
        [sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "-w", directory, HERE.parents[1]],
        env={**os.environ, "HOCKET_REQUIRE_EXTENSIONS": "1"},
    )
    return next(directory.glob("hocket-*.whl"))
