"""Profilers: which of them see the coroutines, and name them."""

from __future__ import annotations

import sys

import pytest

from .workplace import ToolWorkplace, succeeded

TOOL = "cProfile, pyinstrument, yappi"
PACKAGES = ("pyinstrument", "yappi")

WORK = """
import asyncio, time
import hocket

def burn(seconds):
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass

async def busy():
    for _ in range(5):
        burn(0.02)
        await asyncio.sleep(0)

async def lazy():
    await asyncio.sleep(0.1)

async def main():
    await asyncio.gather(busy(), lazy())
"""


def test_cprofile(workplace: ToolWorkplace) -> None:
    """cProfile counts the steps of a coroutine."""
    path = workplace.write("program.py", WORK + "\nhocket.run(main())\n")
    printed = succeeded(workplace.python("-m", "cProfile", "-s", "cumulative", str(path)))
    row = next(line for line in printed.splitlines() if "(busy)" in line)
    assert row.split()[0].split("/")[0] == "6"


def test_pyinstrument(workplace: ToolWorkplace) -> None:
    """pyinstrument in async mode attributes time to the coroutine that was profiled, its waiting too."""
    workplace.write(
        "program.py",
        WORK
        + """
import pyinstrument

async def profiled():
    other = asyncio.create_task(busy())
    with pyinstrument.Profiler(async_mode="enabled") as profiler:
        await lazy()
    await other
    return profiler.output_text(show_all=True)

print(hocket.run(profiled()))
""",
    )
    printed = succeeded(workplace.python("program.py"))
    assert "lazy" in printed
    assert "[await]" in printed


def test_yappi(workplace: ToolWorkplace) -> None:
    """yappi counts a coroutine's calls once, and its waiting to the wall clock."""
    calls, waited = workplace.program(
        WORK
        + """
import json, yappi

yappi.set_clock_type("wall")
with yappi.run():
    hocket.run(main())
(found,) = [row for row in yappi.get_func_stats() if row.name == "lazy"]
print(json.dumps([found.ncall, found.ttot]))
"""
    )
    assert calls == 1
    assert waited >= 0.09


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`-X perf` is new in Python 3.12")
def test_perf_support(workplace: ToolWorkplace) -> None:
    """With -X perf, coroutines are named to Linux' perf as under asyncio."""
    path = workplace.write(
        "program.py", WORK + "\nimport os\nhocket.run(main())\nprint(open(f'/tmp/perf-{os.getpid()}.map').read())\n"
    )
    printed = succeeded(workplace.python(str(path), flags=("-X", "perf")))
    assert "py::busy:" in printed
