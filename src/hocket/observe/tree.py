"""The tasks as a tree: who waits for whom, and who was made by whom.

It is drawn from facts alone, so that it can also be drawn of another process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from typing import TextIO

import hocket
from hocket.observe.facts import Place, TaskFacts
from hocket.observe.snapshot import snapshot

#: A wait of these kinds is for tasks; of others for something that tasks hold.
_AWAITS = ("task", "gather")
_LIBRARIES = tuple(os.path.dirname(os.path.abspath(str(module.__file__))) + os.sep for module in (asyncio, hocket))


def format_tree(tasks: Iterable[TaskFacts] | None = None) -> str:
    """*tasks*, by default every task of hocket's loops, one a line, below the task that awaits it; one that nobody
    awaits stands below the task that made it, with a ``+``."""
    return "\n".join(tree_lines(snapshot().tasks if tasks is None else tasks)) or "no tasks"


def print_tree(file: TextIO | None = None) -> None:
    """Print what `format_tree` gives, to *file* or `sys.stdout`.

    hocket.observe.print_tree()
    """
    print(format_tree(), file=sys.stdout if file is None else file)


def tree_lines(tasks: Iterable[TaskFacts]) -> list[str]:
    """The lines of `format_tree`."""
    by_number = {task.number: task for task in sorted(tasks, key=lambda task: task.number)}
    children = _children(by_number)
    below = {child for found in children.values() for child, _ in found}
    lines: list[str] = []
    for loop in sorted({task.loop for task in by_number.values()}):
        members = [task for task in by_number.values() if task.loop == loop]
        lines.append(_heading(loop, members))
        shown: set[int] = set()
        _draw([task.number for task in members if task.number not in below], by_number, children, shown, lines)
        # Those that await each other in a circle stand below none that was drawn.
        for task in members:
            if task.number not in shown:
                _draw([task.number], by_number, children, shown, lines)
    return lines


def describe(task: TaskFacts) -> str:
    """What *task* does, in words, and where in the program."""
    wait = task.waits_on
    doing = f"is {task.state}" if wait is None else f"waits for {wait.kind}: {wait.what}, for {task.since:.1f} s"
    place = place_in_program(task.stack)
    return doing if place is None else f"{doing}  {place}"


def place_in_program(stack: tuple[Place, ...]) -> Place | None:
    """The innermost place of *stack* that is neither asyncio's nor hocket's; the outermost if all are."""
    for place in reversed(stack):
        if not place.file.startswith(_LIBRARIES):
            return place
    return stack[0] if stack else None


def _heading(loop: int, tasks: list[TaskFacts]) -> str:
    counts = {state: sum(task.state == state for task in tasks) for state in ("running", "ready", "waiting")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"loop {loop}: {len(tasks)} {'task' if len(tasks) == 1 else 'tasks'} ({told})"


def _children(tasks: dict[int, TaskFacts]) -> dict[int, list[tuple[int, bool]]]:
    """Which tasks stand below which, and whether they are awaited by it."""
    children: dict[int, list[tuple[int, bool]]] = {}
    awaited = set()
    for task in tasks.values():
        if task.waits_on is not None and task.waits_on.kind in _AWAITS:
            for waker in task.waits_on.tasks:
                if waker in tasks:
                    children.setdefault(task.number, []).append((waker, True))
                    awaited.add(waker)
    for task in tasks.values():
        if task.number not in awaited and task.parent in tasks and tasks[task.parent].loop == task.loop:
            children.setdefault(task.parent, []).append((task.number, False))
    return children


def _draw(
    roots: list[int],
    tasks: dict[int, TaskFacts],
    children: dict[int, list[tuple[int, bool]]],
    shown: set[int],
    lines: list[str],
) -> None:
    # What is left to draw, the next one last: the task, whether its parent awaits it, what stands before it, and
    # whether it is the last of its parent's.
    left = [(root, True, "", root == roots[-1]) for root in reversed(roots)]
    while left:
        number, is_awaited, before, is_last = left.pop()
        task = tasks[number]
        line = f"{before}{'└── ' if is_last else '├── '}{'' if is_awaited else '+ '}{task.name}"
        if number in shown:
            lines.append(f"{line} (see above)")
            continue
        shown.add(number)
        lines.append(f"{line} {describe(task)}")
        below = children.get(number, [])
        inner = before + ("    " if is_last else "│   ")
        for index, (child, waits) in reversed(list(enumerate(below))):
            left.append((child, waits, inner, index == len(below) - 1))
