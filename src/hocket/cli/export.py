"""``hocket export``: a recording in another format."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from hocket.cli.errors import UsageError
from hocket.observe.export import FORMATS, export, format_of
from hocket.observe.recording_file import NotARecording
from hocket.observe.sinks.collapsed import WHAT

DESCRIPTION = """\
Write a recording (of hocket record, or a dump of the flight recorder) in another format.

  hocket export hocket-4711-1.recording -o trace.pftrace     for https://ui.perfetto.dev
  hocket export run.recording --format jsonl | jq .          one event a line
  hocket export run.recording -o waits.collapsed --what wait
"""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"export: {message}")


def main(arguments: Sequence[str]) -> int:
    """Export the recording that `arguments` name; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        form = options.format or format_of(options.output)
    except ValueError as error:
        raise UsageError(f"export: {error}; or say it with --format") from None
    if form == "recording":
        raise UsageError("export: it is a recording already; expected another format")
    if options.output == "-" and form == "perfetto":
        raise UsageError("export: a trace is not for the terminal: say -o FILE")
    try:
        export(options.recording, options.output, form, options.what)
    except (OSError, NotARecording) as error:
        raise UsageError(f"export: {_words(error)}") from None
    return 0


def parser() -> Parser:
    result = Parser(
        prog="hocket export",
        usage="hocket export RECORDING [-o FILE] [--format NAME] [--what run|ready|wait]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    result.add_argument("recording", metavar="RECORDING", help="the file to read")
    result.add_argument("-o", "--output", metavar="FILE", default="-", help="the file to write; - (default): stdout")
    result.add_argument("--format", choices=list(FORMATS)[1:], help="whatever the name of the file says")
    result.add_argument(
        "--what", choices=WHAT, default="run", help="of collapsed: the time in which tasks ran, were ready, or waited"
    )
    return result


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot open {str(error.filename)!r}: {error.strerror}"
    return str(error)
