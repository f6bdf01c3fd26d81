"""Starts the programs of the load tests, each in a process of its own so that its memory and limits are its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hocket

PROGRAMS = Path(__file__).parent / "programs"


def environment(driver: str = "") -> dict[str, str]:
    """The environment of the tests without settings that choose a loop's behaviour, and with this hocket."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HOCKET_", "PYTHON"))}
    clean["PYTHONPATH"] = str(Path(hocket.__file__).resolve().parents[1])
    return clean | ({"HOCKET_DRIVER": driver} if driver else {})


def start(*arguments: str, driver: str = "", descriptors: int | None = None) -> subprocess.Popen[str]:
    """Start ``python`` with `arguments`, allowed to open that many `descriptors`."""

    def limit() -> None:
        if descriptors is not None:
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))

    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=PROGRAMS,
        env=environment(driver),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def line(process: subprocess.Popen[str]) -> Any:
    """Return the JSON value of the next line that a process prints."""
    assert process.stdout is not None
    text = process.stdout.readline()
    assert text, f"the process ended with exit code {process.wait(30)}"
    return json.loads(text)


def tell(process: subprocess.Popen[str], word: str) -> None:
    """Write a line to the stdin of a process."""
    assert process.stdin is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def require_descriptors(needed: int) -> None:
    """Skip the test, saying why, where the system does not allow a process to open that many files."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard not in (resource.RLIM_INFINITY, -1) and hard < needed:
        pytest.skip(f"needs {needed} descriptors in one process, and the hard limit (ulimit -Hn) is {hard}")
