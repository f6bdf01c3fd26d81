"""The pages by task: every program in them runs, and prints what stands below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.workplace import Workplace
from tests.examples.documented import Program, is_documented, programs

PAGES = (
    "structured",
    "backpressure",
    "request-budget",
    "fast-producers",
    "slow-dependency",
    "shutting-down",
    "threads",
    "resilience",
    "coming-from",
)


@pytest.mark.parametrize(
    "program",
    [program for page in PAGES for program in programs(f"{page}.md")],
    ids=lambda program: f"{program.page}:{program.line}",
)
def test_the_program_prints_what_the_page_says(program: Program, tmp_path: Path) -> None:
    """In a process of its own; without a block of text below it, nothing."""
    (tmp_path / "program.py").write_text(program.source, encoding="utf-8")
    ended = Workplace(tmp_path).python("program.py", flags=("-W", "error"))
    logged = [line for line in ended.stderr.splitlines() if "Traceback" in line or "Error" in line]
    assert (ended.code, logged) == (0, []), ended.stderr
    assert is_documented(program.output.splitlines(), ended.stdout), ended.stdout
