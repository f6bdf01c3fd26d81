"""``hocket ps``: the tasks of an observed process, what each does, for how long, and what it waits on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hocket.cli import asking
from hocket.cli.client import connect
from hocket.cli.output import print_csv, print_json, print_table
from hocket.observe.words import duration

DESCRIPTION = "List the tasks of an observed process, also while its loop is blocked."

#: How many a table shows unless it is asked for more.
_LIMIT = 1000

#: Option: field that it sorts by, as `hocket.observe.TaskFacts` has it.
ORDERS = {
    "task": "number",
    "name": "name",
    "state": "state",
    "for": "since",
    "coroutine": "coroutine",
    "waits-on": "waits_on",
    "where": "stack",
    "made-at": "made_at",
    "parent": "parent",
    "steps": "steps",
    "wakes": "wakes",
    "yields": "yields",
    "run": "run_time",
    "longest": "longest_step",
    "delay": "ready_delay",
    "longest-delay": "longest_ready_delay",
}

HEADS = ("TASK", "NAME", "STATE", "FOR", "WAITS ON", "WHERE", "STEPS", "RUN", "LONGEST", "DELAY")
RIGHT = (0, 3, 6, 7, 8, 9)

COLUMNS = (
    *("number", "name", "loop", "coroutine", "state", "since", "parent", "made_at"),
    *("waits_on", "waits_on_what", "due", "descriptor", "waits_on_tasks", "where"),
    *("steps", "wakes", "yields", "run_time", "longest_step", "ready_delay", "longest_ready_delay", "cancelling"),
)


def main(arguments: Sequence[str]) -> int:
    """Print the tasks of the process that *arguments* name."""
    parser = asking.parser("ps", DESCRIPTION)
    parser.add_argument("--sort", metavar="COLUMN", default="task", help=f"by one of {', '.join(ORDERS)}")
    parser.add_argument("--reverse", action="store_true", help="the last in that order first")
    parser.add_argument("--state", action="append", choices=("running", "ready", "waiting"), help="only such tasks")
    parser.add_argument(
        "--search", metavar="TEXT", default="", help="only tasks with this in the name, the coroutine's, or the file's"
    )
    parser.add_argument(
        "--limit", metavar="N", type=int, help=f"at most so many; 0: all (a table: {_LIMIT}; JSON and CSV: all)"
    )
    options = parser.parse_args(arguments)
    if options.sort not in ORDERS:
        parser.error(f"tasks cannot be sorted by {options.sort!r} (but by {', '.join(ORDERS)})")
    if options.limit is not None and options.limit < 0:
        parser.error(f"--limit must not be negative, got {options.limit}")
    limit = options.limit if options.limit is not None else _LIMIT if options.format == "table" else 0
    with connect(options.process) as client:
        answer = client.ask(
            "tasks",
            sort=ORDERS[options.sort],
            descending=options.reverse,
            states=options.state,
            search=options.search,
            limit=limit or None,
            waited_for=asking.WAITED_FOR if options.format == "table" else None,
        )
        if options.format == "table":
            table(client.hello, answer.rows, answer.end)
        elif options.format == "json":
            print_json({"process": client.hello, **answer.end, "tasks": answer.rows})
        else:
            print_csv(COLUMNS, [flat(row) for row in answer.rows])
    return 0


def table(hello: dict[str, Any], rows: Sequence[dict[str, Any]], end: dict[str, Any]) -> None:
    """Print the *rows* of a ``tasks`` answer for people."""
    states = ", ".join(f"{count:,} {state}" for state, count in end["states"].items() if count)
    print(f"process {hello['process']}: {hello['program']}")
    print(f"tasks: {end['total']:,}" + (f" ({states})" if states else ""))
    if rows:
        print()
        print_table(HEADS, [cells(row) for row in rows], right=RIGHT)
    if end["matching"] > len(rows):
        print(f"… and {end['matching'] - len(rows):,} more: --limit 0 shows all of them")


def cells(row: dict[str, Any]) -> list[str]:
    """A task in the columns of `HEADS`."""
    return [
        str(row["number"]),
        row["name"],
        row["state"],
        duration(row["since"]),
        asking.wait(row["waits_on"]),
        asking.place(asking.own_place(row["stack"])),
        f"{row['steps']:,}",
        duration(row["run_time"]),
        duration(row["longest_step"]),
        duration(row["ready_delay"]),
    ]


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A task in the columns of `COLUMNS`; times are in seconds."""
    waits_on = row["waits_on"] or {}
    return row | {
        "made_at": asking.line(row["made_at"]),
        "waits_on": waits_on.get("kind"),
        "waits_on_what": waits_on.get("what"),
        "due": waits_on.get("due"),
        "descriptor": waits_on.get("descriptor"),
        "waits_on_tasks": " ".join(map(str, waits_on.get("tasks", ()))),
        "where": asking.line(asking.own_place(row["stack"])),
    }
