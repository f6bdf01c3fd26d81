"""``hocket top``: an observed process, live, in the terminal."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

from hocket.cli import asking
from hocket.cli.client import connect
from hocket.cli.errors import UsageError

DESCRIPTION = """\
Look into an observed process, live: its tasks, sortable by every column; one task closely (enter); its loops; search
(/), pause (p), quit (q).  Needs Textual: pip install 'hocket[top]'."""


def main(arguments: Sequence[str]) -> int:
    """Show the process that *arguments* name, until somebody quits or it ends."""
    options = asking.parser("top", DESCRIPTION, formats=()).parse_args(arguments)
    if importlib.util.find_spec("textual") is None:
        raise UsageError("top needs Textual, which is not installed: pip install 'hocket[top]'")
    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise UsageError("top needs a terminal; hocket ps prints once")
    client = connect(options.process)
    from hocket.cli.screen.app import TopApp

    why = TopApp(client).run()
    if why is not None:
        print(f"hocket: {why}", file=sys.stderr)
    return 0
