"""py-spy looks into a running process from outside."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .workplace import PATIENCE, ToolWorkplace

TOOL = "py-spy"
PACKAGES = ("py-spy",)

PROGRAM = """
import asyncio, time
import hocket

async def busy():
    await asyncio.sleep(0)
    print("ready", flush=True)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pass

async def main():
    await asyncio.create_task(busy())

hocket.run(main())
"""


def test_dump(workplace: ToolWorkplace) -> None:
    """`py-spy dump` shows the coroutine that runs, and the frames that started the loop."""
    if sys.version_info >= (3, 14) and importlib.metadata.version("py-spy") < "0.4.2":
        pytest.skip("this py-spy does not know Python 3.14")
    command = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    assert command is not None
    workplace.write("program.py", PROGRAM)
    running = workplace.start("program.py")
    running.wait_until_said("ready")
    done = subprocess.run(
        [command, "dump", "--pid", str(running.process.pid)], capture_output=True, text=True, timeout=PATIENCE
    )
    if "Permission Denied" in done.stderr:
        pytest.skip("this system does not let one process look into another: py-spy needs root or ptrace_scope 0")
    assert "busy (" in done.stdout, done.stdout + done.stderr
    assert "<module> (" in done.stdout
