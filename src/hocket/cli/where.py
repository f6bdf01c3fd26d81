"""``hocket where``: where one task stands, what it waits on, and who could wake it."""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Sequence
from typing import Any

from hocket.cli import asking
from hocket.cli.client import connect
from hocket.cli.output import print_csv, print_json
from hocket.observe.words import duration

DESCRIPTION = "Show where a task stands, what it waits on and who could wake it, also while its loop is blocked."

#: For how many seconds one who could wake the task is looked for.
_SEARCH = 0.5

COLUMNS = ("number", "name", "state", "depth", "file", "line", "function", "source")


def main(arguments: Sequence[str]) -> int:
    """Print what is known of the task that *arguments* name."""
    options = asking.parser("where", DESCRIPTION, task=True).parse_args(arguments)
    with connect(options.process) as client:
        (row,) = client.ask("task", task=options.task, wakers=_SEARCH).rows
    if options.format == "table":
        print("\n".join(describe(row)))
    elif options.format == "json":
        print_json(row)
    else:
        task = row["task"]
        stack = enumerate(task["stack"], 1)
        print_csv(COLUMNS, [task | place | {"depth": depth, "source": source_of(place)} for depth, place in stack])
    return 0


def describe(row: dict[str, Any]) -> Iterator[str]:
    """What a ``task`` answer says, in lines."""
    task = row["task"]
    yield f"task {task['number']} {task['name']!r}, {task['state']} for {duration(task['since'])}"
    made = f"made at {asking.place(task['made_at'])}" if task["made_at"] else "made"
    yield f"  runs {task['coroutine']} on loop {task['loop']}, {made}" + (
        f" by task {task['parent']}" if task["parent"] else ""
    )
    if task["cancelling"]:
        yield f"  asked to cancel {times(task['cancelling'])}, and has not ended"
    if task["cancelled"] is not None:
        yield f"  inside of a scope that was {task['cancelled']}; interrupted {times(task['interruptions'])} since"
    if task["stack"]:
        yield ""
        yield from stack_lines(task["stack"])
    if task["waits_on"] is not None:
        yield ""
        yield f"waits on     {asking.wait(task['waits_on'])}: {task['waits_on']['what']}"
        yield from wakeable_by(row)
    yield ""
    yield (
        f"so far       {times(task['steps'], 'step')} in {duration(task['run_time'])}, "
        f"the longest {duration(task['longest_step'])}; "
        f"{times(task['wakes'], 'wake')}, {times(task['yields'], 'yield')}; ready for {duration(task['ready_delay'])} "
        f"before it ran, at most {duration(task['longest_ready_delay'])}"
    )


def wakeable_by(row: dict[str, Any]) -> Iterator[str]:
    """Who could end the wait, in lines."""
    before = "wakeable by"
    if row["wakers"] is None:
        yield f"{before:11}  (not looked for yet)"
        return
    for waker in row["wakers"]:
        who = f"task {waker['task']} {waker['name']!r} " if waker["task"] else ""
        yield f"{before:11}  {who}{waker['how']}"
        before = ""
    if not row["searched"]:
        yield f"{before:11}  (there may be others: not all tasks were looked through in time)"
    elif not row["wakers"]:
        yield f"{before:11}  nobody who was found"


def stack_lines(stack: Sequence[dict[str, Any]]) -> Iterator[str]:
    """*stack* as tracebacks show it, the innermost place last, with the source where it can be read."""
    for place in stack:
        yield f'  File "{place["file"]}", line {place["line"]}, in {place["function"]}'
        source = source_of(place)
        if source:
            yield f"    {source}"


def source_of(place: dict[str, Any]) -> str:
    """The line of the program at *place*; empty if it cannot be read here."""
    return linecache.getline(place["file"], place["line"]).strip()


def times(count: int, what: str = "") -> str:
    """*count* in words: ``1 step``, ``2 steps``, ``3 times``."""
    if not what:
        return "once" if count == 1 else f"{count:,} times"
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
