"""The ``hocket`` command: chooses the verb and hands the rest of the command line to it.

Each verb is a module of this package with a ``main(arguments) -> int``, imported only when it is asked for, so that
no verb pays for another.  A verb that cannot do what it was asked raises :class:`UsageError`; the user sees one line
and the shell gets exit code 2.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from hocket.cli.errors import UsageError

USAGE_ERROR = 2

# verb -> what the help says of it
VERBS = {
    "run": "run a program on hocket's event loop, unchanged",
    "ps": "list the tasks of an observed process",
    "pstree": "draw the tasks of an observed process as a tree: who waits for whom",
    "top": "look into an observed process, live, in the terminal",
    "where": "show where a task stands, what it waits on and who could wake it",
    "dump": "write down what the flight recorder of an observed process has",
    "doctor": "say what is wrong with an observed process, or with a recorded run",
    "cancel": "cancel a task of a process that allows it",
    "record": "run a program and record what its loops do",
    "export": "write a recording in another format: Perfetto, JSON lines, collapsed stacks",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (without the program's name; default: ``sys.argv``); return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(help_text())
        return 0
    if words[0] in ("-V", "--version"):
        from hocket import __version__

        print(f"hocket {__version__}")
        return 0
    try:
        if words[0] not in VERBS:
            kind = "option" if words[0].startswith("-") else "verb"
            raise UsageError(f"unknown {kind} {words[0]!r} (verbs: {', '.join(VERBS)}; see hocket --help)")
        verb = importlib.import_module(f"hocket.cli.{words[0]}")
        code: int = verb.main(words[1:])
    except UsageError as error:
        print(f"hocket: {error}", file=sys.stderr)
        return USAGE_ERROR
    return code


def help_text() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {summary}" for verb, summary in VERBS.items())
    return (
        "usage: hocket [--help] [--version] VERB ...\n\n"
        "asyncio's API on a compiled scheduler of its own.\n\n"
        f"verbs:\n{verbs}\n\n"
        "'hocket VERB --help' describes a verb."
    )
