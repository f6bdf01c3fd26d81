"""Tables that change under the cursor, and keep it where it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from hocket.cli import asking
from hocket.observe.words import duration

#: Of the table of tasks: head, the field that it sorts by, and whether it stands flush right.
TASK_COLUMNS = (
    ("TASK", "number", True),
    ("NAME", "name", False),
    ("STATE", "state", False),
    ("FOR", "since", True),
    ("WAITS ON", "waits_on", False),
    ("WHERE", "stack", False),
    ("STEPS", "steps", True),
    ("RUN", "run_time", True),
    ("LONGEST", "longest_step", True),
    ("DELAY", "ready_delay", True),
    ("WORST DELAY", "longest_ready_delay", True),
    ("WAKES", "wakes", True),
    ("YIELDS", "yields", True),
    ("COROUTINE", "coroutine", False),
    ("MADE AT", "made_at", False),
    ("BY", "parent", True),
)

PRIMITIVE_COLUMNS = (
    ("KIND", False),
    ("WHICH", False),
    ("LOOP", True),
    ("HELD BY TASK", False),
    ("WAITING", True),
    ("WHO", False),
    ("SIZE", True),
    ("MOST", True),
    ("WAITS", True),
    ("WAITED", True),
)

TROUBLE_COLUMNS = (("WARNING", False), ("WHAT", False), ("WHERE", False), ("NEXT", False))

_STATES = {"running": "bold green", "ready": "yellow", "waiting": "", "done": "dim"}


def task_cells(task: dict[str, Any]) -> list[Text]:
    """A task in the columns of `TASK_COLUMNS`."""
    words = [
        str(task["number"]),
        task["name"],
        task["state"],
        duration(task["since"]),
        asking.wait(task["waits_on"]),
        asking.place(asking.own_place(task["stack"])),
        f"{task['steps']:,}",
        duration(task["run_time"]),
        duration(task["longest_step"]),
        duration(task["ready_delay"]),
        duration(task["longest_ready_delay"]),
        f"{task['wakes']:,}",
        f"{task['yields']:,}",
        task["coroutine"],
        asking.place(task["made_at"]),
        str(task["parent"] or ""),
    ]
    cells = [
        Text(word, justify="right" if right else "left", overflow="ellipsis", no_wrap=True)
        for word, (_, _, right) in zip(words, TASK_COLUMNS, strict=True)
    ]
    cells[2].stylize(_STATES.get(task["state"], ""))
    return cells


def primitive_cells(primitive: dict[str, Any]) -> list[Text]:
    """A primitive in the columns of `PRIMITIVE_COLUMNS`; of one of asyncio's, less is known."""
    words = [
        primitive["kind"],
        primitive["what"],
        str(primitive["loop"]),
        numbers(primitive["holders"]),
        f"{len(primitive['waiters']):,}",
        numbers(primitive["waiters"]),
        contents(primitive),
        f"{primitive['most_waiting']:,}",
        f"{primitive['waits']:,}",
        duration(primitive["waited"]),
    ]
    return [
        Text(word, justify="right" if right else "left", overflow="ellipsis", no_wrap=True)
        for word, (_, right) in zip(words, PRIMITIVE_COLUMNS, strict=True)
    ]


def numbers(tasks: Sequence[int]) -> str:
    """The first of these tasks."""
    return " ".join(map(str, tasks[:5])) + (" …" if len(tasks) > 5 else "")


def trouble_cells(trouble: dict[str, Any]) -> list[Text]:
    """A warning in the columns of `TROUBLE_COLUMNS`."""
    words = [trouble["name"], trouble["what"], asking.place(trouble["place"]), trouble["next"]]
    cells = [Text(word, overflow="ellipsis", no_wrap=True) for word in words]
    cells[0].stylize("bold red")
    return cells


def contents(primitive: dict[str, Any]) -> str:
    """How much is in a queue, and how many places of a semaphore are free."""
    if primitive["size"] is None:
        return ""
    return f"{primitive['size']:,}" + (f" of {primitive['limit']:,}" if primitive["limit"] is not None else "")


class Rows(DataTable[Text]):
    """A table whose rows are put in anew again and again; what has not changed stays, and the cursor with it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "scroll_top", "First", show=False),
        Binding("end", "scroll_bottom", "Last", show=False),
    ]

    def __init__(self, heads: Sequence[str], right: Sequence[bool], **options: Any) -> None:
        super().__init__(cursor_type="row", zebra_stripes=True, **options)
        self._heads = heads
        self._right = right
        self._shown: dict[str, list[Text]] = {}

    def on_mount(self) -> None:
        self._add_columns("", False)

    def mark(self, marked: str, descending: bool) -> None:
        """Show by which column the rows are sorted."""
        rows, self._shown = self._shown, {}
        self.clear(columns=True)
        self._add_columns(marked, descending)
        self.show(rows)

    def _add_columns(self, marked: str, descending: bool) -> None:
        for head, right in zip(self._heads, self._right, strict=True):
            arrow = ("▼" if descending else "▲") if head == marked else ""
            self.add_column(Text(head + arrow, justify="right" if right else "left"), key=head)

    def show(self, rows: dict[str, list[Text]]) -> None:
        """Show *rows*, each under a key of its own."""
        old = list(self._shown)
        if list(rows)[: len(old)] == old:
            for key in old:
                for head, before, now in zip(self._heads, self._shown[key], rows[key], strict=True):
                    if before != now:
                        self.update_cell(key, head, now, update_width=True)
            for key in list(rows)[len(old) :]:
                self.add_row(*rows[key], key=key)
        else:
            self._replace(rows)
        if list(rows) != old:
            # Textual measures new rows when it is idle: what it has drawn before that is cut off, and kept so.
            self.call_after_refresh(self.notify_style_update)
        self._shown = rows

    def _replace(self, rows: dict[str, list[Text]]) -> None:
        chosen = self.chosen()
        row, offset = self.cursor_row, self.scroll_y
        self.clear()
        for key, cells in rows.items():
            self.add_row(*cells, key=key)
        if rows:
            keys = list(rows)
            self.move_cursor(row=keys.index(chosen) if chosen in rows else min(row, len(keys) - 1), scroll=False)
            # When it is known again how long the table is.
            self.call_after_refresh(self.scroll_to, y=offset, animate=False, force=True)

    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        keys = list(self._shown)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None
