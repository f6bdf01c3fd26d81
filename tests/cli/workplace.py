"""A directory for the programs of a test, run there once under ``python`` and once under ``hocket run``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent

import hocket

ENGINE_FRAME = re.compile(r'[ |]*File "[^"]*\bhocket/core/future\.py", line \d+, in \S+')

PACKAGE_PARENT = str(Path(hocket.__file__).resolve().parents[1])


@dataclass(frozen=True)
class Ended:
    """How a process ended: everything that its caller can see of it."""

    code: int
    stdout: str
    stderr: str


def without_engine(ended: Ended) -> Ended:
    """Drop the frames inside the engine from tracebacks: asyncio's futures are C, and so are hocket's once compiled."""
    if hocket.is_compiled():
        return ended
    kept: list[str] = []
    skipped_below: int | None = None
    for line in ended.stderr.splitlines(keepends=True):
        indent = len(line) - len(line.lstrip(" |"))
        if skipped_below is not None and indent > skipped_below:
            continue  # the source of the frame that was dropped
        skipped_below = indent if ENGINE_FRAME.match(line) else None
        if skipped_below is None:
            kept.append(line)
    return replace(ended, stderr="".join(kept))


class Workplace:
    """A directory with the programs of one test, and the two ways to run them there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HOCKET_", "PYTHON", "COLUMNS", "LINES"))
        }
        # Absolute, so that both runs find the same hocket whatever their working directory is.
        self.environment["PYTHONPATH"] = PACKAGE_PARENT
        # Whoever is observed here is met here only, and not by tests beside these.
        self.environment["XDG_RUNTIME_DIR"] = str(directory)

    def write(self, name: str, source: str) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))
        return path

    def python(self, *arguments: str, stdin: str = "", flags: tuple[str, ...] = (), **environment: str) -> Ended:
        """Run ``python`` with `flags` (of the interpreter) and `arguments`."""
        done = subprocess.run(
            [sys.executable, *flags, *arguments],
            cwd=self.directory,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def hocket(self, *arguments: str, stdin: str = "", flags: tuple[str, ...] = (), **environment: str) -> Ended:
        """Run the ``hocket`` command with `arguments`."""
        return self.python("-m", "hocket", *arguments, stdin=stdin, flags=flags, **environment)


def refused(ended: Ended) -> str:
    """Check that a command ended as one that could not be done, and return the line that says why."""
    assert (ended.code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("hocket: ")
    return line.removeprefix("hocket: ")
