"""``hocket cancel``: cancels a task of an observed process, if that allows it."""

from __future__ import annotations

from collections.abc import Sequence

from hocket.cli import asking
from hocket.cli.client import connect
from hocket.cli.output import print_csv, print_json

DESCRIPTION = """\
Cancel a task, as task.cancel() does: it may clean up, and may even refuse.  Only of a process that allows it, which
hocket run --allow-control and HOCKET_OBSERVE=control do."""

COLUMNS = ("number", "name", "delivered", "accepted", "blocked_by")


def main(arguments: Sequence[str]) -> int:
    """Cancel the task that *arguments* name.  1 if it had ended already."""
    parser = asking.parser("cancel", DESCRIPTION, task=True)
    parser.add_argument("--message", metavar="TEXT", help="what the CancelledError is to say")
    options = parser.parse_args(arguments)
    with connect(options.process) as client:
        (row,) = client.ask("cancel", task=options.task, message=options.message).rows
    who = f"task {row['number']} {row['name']!r}"
    if options.format == "json":
        print_json(row)
    elif options.format == "csv":
        print_csv(COLUMNS, [row])
    elif not row["delivered"]:
        by = f" by task {row['blocked_by']!r}" if row["blocked_by"] else ""
        print(f"{who} will be cancelled when its loop goes on, which is blocked{by}")
    elif row["accepted"]:
        print(f"{who} is cancelled")
    else:
        print(f"{who} had ended already")
    return 0 if row["accepted"] or not row["delivered"] else 1
