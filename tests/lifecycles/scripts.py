"""Small programs in processes of their own: a process that dies, forks or is interrupted must not be the tests'."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import hocket

PACKAGE_PARENT = str(Path(hocket.__file__).resolve().parents[1])

#: What every program can use: `STOCK` tells that it is to run on asyncio's own loop, `new_loop` makes one.
PRELUDE = """\
import asyncio, gc, os, signal, sys, threading, time, traceback, weakref
STOCK = os.environ["LOOP"] == "stock"
if STOCK:
    new_loop = asyncio.SelectorEventLoop
else:
    import hocket
    new_loop = hocket.new_event_loop
def run(main, **options):
    with asyncio.Runner(loop_factory=new_loop, **options) as runner:
        return runner.run(main)
"""


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def environment(loop: str, **extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOCKET_", "PYTHON"))}
    return kept | {"PYTHONPATH": PACKAGE_PARENT, "LOOP": loop} | extra


def run_script(source: str, *flags: str, loop: str = "hocket", seconds: float = 60.0, **extra: str) -> Ended:
    """Run *source* behind the prelude, with interpreter *flags*, on hocket's loop or asyncio's (``loop="stock"``)."""
    return _run([*flags, "-c", PRELUDE + dedent(source)], loop, seconds, extra)


def run_file(path: Path, *flags: str, loop: str = "hocket", seconds: float = 60.0, **extra: str) -> Ended:
    """Run the program *path*, without the prelude."""
    return _run([*flags, str(path)], loop, seconds, extra)


def _run(arguments: list[str], loop: str, seconds: float, extra: dict[str, str]) -> Ended:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(loop, **extra),
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def printed(source: str, *flags: str, loop: str = "hocket", **extra: str) -> list[str]:
    """The lines that *source* prints; it must end well and complain of nothing."""
    ended = run_script(source, *flags, loop=loop, **extra)
    assert (ended.code, ended.err) == (0, ""), ended
    return ended.out.splitlines()
