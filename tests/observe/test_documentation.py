"""The pages about observing: every program in them runs, and prints what stands below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hocket.observe.metrics import METRICS
from tests.cli.workplace import Workplace
from tests.examples.documented import DOCS, Program, is_documented, programs


@pytest.mark.parametrize("program", programs("observe*.md"), ids=lambda program: f"{program.page}:{program.line}")
def test_the_program_prints_what_the_page_says(program: Program, tmp_path: Path) -> None:
    """In a process of its own; without a block of text below it, nothing.  How long something took may differ."""
    (tmp_path / "program.py").write_text(program.source, encoding="utf-8")
    # What a busy machine keeps waiting is no part of the page: a program that wants a watchdog starts one.
    ended = Workplace(tmp_path).python("program.py", flags=("-W", "error"), HOCKET_BLOCKED_AFTER="0")
    assert (ended.code, ended.stderr) == (0, "")
    lines = re.sub(r"\b(\d+\.\d s)\b", r"~\1", program.output).splitlines()
    assert is_documented(lines, ended.stdout), ended.stdout


def test_every_metric_is_in_the_table() -> None:
    """By both names, with its kind and what it is; and no other is."""
    page = (DOCS / "observe-export.md").read_text(encoding="utf-8")
    kinds = {"sum": "gauge"}
    expected = [
        f"| `{metric.name}` | `{metric.prometheus}` | {kinds.get(metric.kind, metric.kind)}"
        + "".join(f", by `{label}`" for label in metric.labels)
        + f" | {metric.help} |"
        for metric in METRICS
    ]
    assert [line for line in page.splitlines() if "` | `hocket_" in line] == expected
