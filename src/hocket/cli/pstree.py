"""``hocket pstree``: the tasks of an observed process as a tree, each below the one that awaits it."""

from __future__ import annotations

from collections.abc import Sequence

from hocket.cli import asking
from hocket.cli.client import connect
from hocket.cli.output import print_csv, print_json
from hocket.cli.ps import COLUMNS, flat
from hocket.observe.facts import TaskFacts
from hocket.observe.graph import Deadlock
from hocket.observe.protocol import revive
from hocket.observe.tree import tree_lines

DESCRIPTION = """\
Draw the tasks of an observed process as a tree: each stands below the one that awaits it or, with a +, that made it.
Tasks that wait for each other in a circle are said to."""


def main(arguments: Sequence[str]) -> int:
    """Draw the tasks of the process that *arguments* name."""
    options = asking.parser("pstree", DESCRIPTION).parse_args(arguments)
    with connect(options.process) as client:
        tasks = client.ask("tasks").rows
        deadlocks = client.ask("deadlocks").rows
    cycles = [[task["number"] for task in deadlock["tasks"]] for deadlock in deadlocks]
    if options.format == "json":
        print_json({"process": client.hello, "tasks": tasks, "deadlocks": cycles})
    elif options.format == "csv":
        places = {number: index for index, numbers in enumerate(cycles, 1) for number in numbers}
        print_csv((*COLUMNS, "deadlock"), [flat(row) | {"deadlock": places.get(row["number"])} for row in tasks])
    else:
        print(f"process {client.hello['process']}: {client.hello['program']}")
        print("\n".join(tree_lines([revive(TaskFacts, row) for row in tasks])))
        for deadlock in deadlocks:
            print(f"\n{revive(Deadlock, deadlock)}")
    return 0
