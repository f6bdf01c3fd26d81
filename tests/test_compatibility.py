"""docs/compatibility-table.md is of the tests that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import compatibility


def test_the_table_is_up_to_date() -> None:
    """The committed table names the tools and tests that exist, and no failure."""
    assert compatibility.check() == []


@pytest.fixture
def one_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with one tool, of which nothing is known yet."""
    monkeypatch.setattr(compatibility, "ROOT", tmp_path)
    monkeypatch.setattr(compatibility, "TESTS", tmp_path)
    monkeypatch.setattr(compatibility, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(compatibility, "TABLE", tmp_path / "table.md")
    tool = tmp_path / "test_spoon.py"
    tool.write_text('TOOL = "spoon"\nPACKAGES = ("spoon",)\ndef test_stir():\n    """It stirs."""\n')
    return tool


def keep(**outcomes: int) -> None:
    tests = {"test_stir": outcomes}
    compatibility.keep("tools", {"test_spoon.py": {"versions": {"spoon": "1.2"}, "tests": tests}})
    compatibility.TABLE.write_text(compatibility.render())


def test_what_the_table_shows(one_tool: Path) -> None:
    """A row has the tool's version and counts; each test is there as the sentence of its docstring."""
    keep(passed=3, skipped=1)
    lines = compatibility.TABLE.read_text().splitlines()
    assert "| spoon | 1.2 | 3 passed + 1 |" in lines
    assert "- It stirs." in lines
    assert compatibility.check() == []


def test_a_new_test_is_missed(one_tool: Path) -> None:
    """A test that was added makes the table stale, and its result is missed."""
    keep(passed=1)
    one_tool.write_text(one_tool.read_text() + 'def test_more():\n    """It does more."""\n')
    stale, missing = compatibility.check()
    assert "not up to date" in stale
    assert "no result of test_more" in missing


def test_a_failure_is_not_committed(one_tool: Path) -> None:
    """A failure that was kept is a problem, though the table says so."""
    keep(failed=1)
    assert "**1 failed**" in compatibility.TABLE.read_text()
    (problem,) = compatibility.check()
    assert "test_stir failed" in problem


def test_a_tool_that_is_gone(one_tool: Path) -> None:
    """Results of a file that is not there any more are a problem."""
    keep(passed=1)
    one_tool.unlink()
    assert any("test_spoon.py is gone" in problem for problem in compatibility.check())
