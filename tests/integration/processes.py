"""Starts a Python process of a test with this hocket and without settings of the caller's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hocket

PROGRAMS = Path(__file__).parent / "programs"


def environment() -> dict[str, str]:
    """The environment of the tests without settings that choose a loop's behaviour, and with this hocket."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HOCKET_", "PYTHON"))}
    return clean | {"PYTHONPATH": str(Path(hocket.__file__).resolve().parents[1])}


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start ``python`` with `arguments` in the directory of the programs."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=PROGRAMS,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
