"""What the verbs have in common that ask an observed process: their arguments, and words for what it says."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from hocket.cli.errors import UsageError
from hocket.cli.output import FORMATS
from hocket.observe.words import duration

#: How many of those for whom a task waits need to be known for `wait` to show that there are more than it names.
WAITED_FOR = 4

_PROCESS = "the number of the process (PID); without one, the only process of yours that is observed"


class Parser(argparse.ArgumentParser):
    """Whose errors are `UsageError`."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog.removeprefix('hocket ')}: {message}")


def parser(verb: str, description: str, *, task: bool = False, formats: Sequence[str] = FORMATS) -> Parser:
    """A parser for ``hocket VERB [options] [TASK] [PID]``."""
    result = Parser(prog=f"hocket {verb}", description=description, allow_abbrev=False)
    if task:
        result.add_argument("task", metavar="TASK", help="the number of a task, or its name")
    result.add_argument("process", metavar="PID", nargs="?", type=_number, help=_PROCESS)
    if formats:
        result.add_argument(
            "--format", choices=formats, default=formats[0], help=f"how to print: {', '.join(formats)} (%(default)s)"
        )
    return result


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected the number of a process, got {text!r}")
    return int(text)


def place(facts: dict[str, Any] | None) -> str:
    """A line of the program, in as few words as one finds it by."""
    if facts is None:
        return ""
    return f"{short_path(facts['file'])}:{facts['line']} {facts['function']}"


def line(facts: dict[str, Any] | None) -> str:
    """A line of the program, for other programs."""
    return "" if facts is None else f"{facts['file']}:{facts['line']}"


def short_path(path: str) -> str:
    """*path* from here on if it is in this directory or below, or else its end."""
    here = os.path.join(os.getcwd(), "")
    return path.removeprefix(here) if path.startswith(here) else os.sep.join(path.split(os.sep)[-2:])


def own_place(stack: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The innermost place of *stack* in the program itself, and not in asyncio or hocket; if there is one."""
    own = [found for found in stack if not {"asyncio", "hocket"} & set(found["file"].split(os.sep)[-3:-1])]
    everything = own or stack
    return everything[-1] if everything else None


def wait(facts: dict[str, Any] | None) -> str:
    """What a task waits for."""
    if facts is None:
        return ""
    words = [facts["kind"]]
    if facts["due"] is not None:
        words.append(f"due in {duration(facts['due'])}" if facts["due"] >= 0 else f"due {duration(-facts['due'])} ago")
    if facts["descriptor"] is not None:
        words.append(f"descriptor {facts['descriptor']}")
    if facts["tasks"]:
        shown = ", ".join(map(str, facts["tasks"][:3])) + ("…" if len(facts["tasks"]) > 3 else "")
        words.append(f"task {shown}" if len(facts["tasks"]) == 1 else f"tasks {shown}")
    return " ".join(words)
