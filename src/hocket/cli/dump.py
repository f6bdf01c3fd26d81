"""``hocket dump``: what the flight recorder of an observed process has, written down now."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from hocket.cli import asking
from hocket.cli.client import connect
from hocket.cli.errors import UsageError
from hocket.cli.output import print_csv, print_json
from hocket.observe.export import export, format_of

DESCRIPTION = """\
Write down what the flight recorder of an observed process has, also while its loop is blocked.  The name of the file
says the format: .recording (hocket's own, for hocket export and hocket doctor), .pftrace (Perfetto), .jsonl,
.collapsed."""

COLUMNS = ("path", "records", "overwritten", "bytes")


def main(arguments: Sequence[str]) -> int:
    """Have the process that *arguments* name write its recording, and make of it what is asked for."""
    parser = asking.parser("dump", DESCRIPTION)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to: by default hocket-PID.recording")
    parser.add_argument("--seconds", metavar="N", type=_seconds, help="only of the last N seconds")
    parser.add_argument(
        "--record",
        metavar="N",
        type=_seconds,
        help="if the process has no recorder running: run one for N seconds first",
    )
    options = parser.parse_args(arguments)
    form = "recording"
    if options.output is not None:
        try:
            form = format_of(options.output)
        except ValueError as error:
            raise UsageError(f"dump: {error}") from None
    with connect(options.process) as client:
        path = os.path.abspath(options.output or f"hocket-{client.process}.recording")
        raw = path if form == "recording" else f"{path}.recording"
        client.wait_longer(options.record or 0.0)
        answer = client.ask("dump", path=raw, seconds=options.seconds, record=options.record)
    (row,) = answer.rows
    if form != "recording":
        try:
            export(raw, path, form)
            os.unlink(raw)
        except OSError as error:
            raise UsageError(
                f"dump: cannot write {path}: {error.strerror or error}; what was recorded is in {raw}"
            ) from None
        row |= {"path": path, "bytes": os.path.getsize(path)}
    if options.format == "json":
        print_json(row)
    elif options.format == "csv":
        print_csv(COLUMNS, [row])
    else:
        lost = f", {row['overwritten']:,} older ones overwritten" if row["overwritten"] else ""
        print(f"{row['records'] - row['overwritten']:,} records{lost}: {os.path.relpath(path)}")
    return 0


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds <= 3600.0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds up to an hour, got {text!r}")
    return seconds
