"""The ``hocket`` command itself."""

from __future__ import annotations

import pytest

import hocket

from .workplace import Ended, Workplace, refused


def test_version(workplace: Workplace) -> None:
    """``--version`` prints the version of the package."""
    assert workplace.hocket("--version") == Ended(0, f"hocket {hocket.__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)], ids=["nothing", "--help", "-h"])
def test_help(arguments: tuple[str, ...], workplace: Workplace) -> None:
    """Without a verb, or asked for help, the command lists its verbs."""
    ended = workplace.hocket(*arguments)
    assert (ended.code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: hocket")
    assert "\n  run  " in ended.stdout


def test_help_of_a_verb(workplace: Workplace) -> None:
    """``run --help`` describes its options and what it can run."""
    ended = workplace.hocket("run", "--help")
    assert (ended.code, ended.stderr) == (0, "")
    assert all(option in ended.stdout for option in ("--debug", "--driver", "--report", "MODULE:FUNCTION"))


@pytest.mark.parametrize("word", ["fly", "--fly"])
def test_unknown_verb(word: str, workplace: Workplace) -> None:
    """A verb or option that does not exist is refused by its name."""
    line = refused(workplace.hocket(word))
    assert f"'{word}'" in line
