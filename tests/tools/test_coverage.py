"""coverage.py measures the code that runs on hocket."""

from __future__ import annotations

import json

import pytest

from .workplace import ToolWorkplace, succeeded

TOOL = "coverage.py"
PACKAGES = ("coverage",)

PROGRAM = """
import asyncio
import hocket

async def child(number):
    if number:
        await asyncio.sleep(0.01)
        return 1
    return 2

async def main():
    async with asyncio.TaskGroup() as group:
        task = group.create_task(child(1))
    return await asyncio.to_thread(in_thread) + task.result()

def in_thread():
    return 3

assert hocket.run(main()) == 4
"""


@pytest.mark.parametrize("core", ["ctrace", "pytrace"])
def test_lines(workplace: ToolWorkplace, core: str) -> None:
    """Exactly the line that was not run is missing, in tasks and threads, with the tracer in C and that in Python."""
    path = workplace.write("program.py", PROGRAM)
    succeeded(
        workplace.python(*("-m", "coverage", "run", "--concurrency=thread", "--branch", str(path)), COVERAGE_CORE=core)
    )
    succeeded(workplace.python("-m", "coverage", "json", "--include=program.py", "-o", "found.json"))
    (found,) = json.loads((workplace.directory / "found.json").read_text())["files"].values()
    missing = [PROGRAM.splitlines()[number - 1].strip() for number in found["missing_lines"]]
    assert missing == ["return 2"]
