"""The screen itself: charts of a loop above, tables below, and the keys."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.message import Message
from textual.widgets import DataTable, Footer, Input, Static, TabbedContent, TabPane

from hocket.cli.client import Client
from hocket.cli.screen.charts import spark
from hocket.cli.screen.detail import TaskScreen
from hocket.cli.screen.rates import History
from hocket.cli.screen.source import Source, View
from hocket.cli.screen.tables import (
    PRIMITIVE_COLUMNS,
    TASK_COLUMNS,
    TROUBLE_COLUMNS,
    Rows,
    primitive_cells,
    task_cells,
    trouble_cells,
)
from hocket.observe.words import duration

_HEADS = [head for head, _, _ in TASK_COLUMNS]
_FIELDS = {head: field for head, field, _ in TASK_COLUMNS}
#: How near the cursor must come to the last task for more to be asked for.
_NEAR = 5
#: How many are asked for at least, whatever the height of the screen.
_FEW = 20

LOOP_COLUMNS = (
    *("LOOP", "UTILIZATION", "TURNS/S", "STEPS/S", "CALLBACKS/S", "READY", "TASKS", "TIMERS", "DESCRIPTORS"),
    *("DELAY P99", "LAG P99", "LONGEST STEP", "BY", "RECEIVED", "SENT"),
)


class Looked(Message):
    """The process has said something."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view


class Over(Message):
    """The process will not say anything any more."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


class TopApp(App[str]):
    """``hocket top``.  Its result is why it ended, unless somebody quit."""

    TITLE = "hocket top"
    ENABLE_COMMAND_PALETTE = False

    CSS = """
    #head { height: 1; padding: 0 1; text-style: bold; background: $panel; }
    #charts { height: 4; padding: 0 1; }
    .chart { width: 1fr; height: 4; padding: 0 1 0 0; }
    #search { display: none; height: 3; dock: bottom; }
    #search.open { display: block; }
    TabbedContent, ContentSwitcher, TabPane, Rows { height: 1fr; }
    TabPane { padding: 0; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("p", "pause", "Pause"),
        Binding("slash", "search", "Search"),
        Binding("escape", "search_no_more", "All", show=False),
        Binding("less_than_sign,comma", "sort(-1)", "Sort ◂", key_display="<"),
        Binding("greater_than_sign,full_stop", "sort(1)", "Sort ▸", key_display=">"),
        Binding("r", "reverse", "Reverse"),
        Binding("l", "next_loop", "Next loop"),
    ]

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.hello = client.hello
        # In a thread of its own, from which messages are the way here.
        self.source = Source(
            client, lambda view: self.post_message(Looked(view)), lambda why: self.post_message(Over(why))
        )
        self._histories: dict[int, History] = {}
        self._chosen = 0
        self._warnings = 0
        self._page = _FEW
        self._view: View | None = None
        self._detail: TaskScreen | None = None

    def compose(self) -> ComposeResult:
        yield Static("", id="head", markup=False)
        with Horizontal(id="charts"):
            for name in ("utilization", "delay", "lag", "steps"):
                yield Static("", id=name, classes="chart", markup=False)
        with TabbedContent(initial="tasks"):
            with TabPane("Tasks", id="tasks"):
                yield Rows(_HEADS, [right for _, _, right in TASK_COLUMNS], id="task-table")
            with TabPane("Primitives", id="primitives"):
                heads = [head for head, _ in PRIMITIVE_COLUMNS]
                yield Rows(heads, [right for _, right in PRIMITIVE_COLUMNS], id="primitive-table")
            with TabPane("Warnings", id="warnings"):
                heads = [head for head, _ in TROUBLE_COLUMNS]
                yield Rows(heads, [False] * len(heads), id="trouble-table")
            with TabPane("Loops", id="loops"):
                yield Rows(LOOP_COLUMNS, [head != "BY" for head in LOOP_COLUMNS], id="loop-table")
        yield Vertical(Input(placeholder="part of a name, of a coroutine or of a file", id="search-input"), id="search")
        yield Footer()

    def on_mount(self) -> None:
        self._mark()
        self.set_focus(self.query_one("#task-table"))
        self.run_worker(self.source.run, thread=True, exit_on_error=False)

    def on_resize(self, event: Resize) -> None:
        """As many tasks as can be seen at once, and no more: each costs the process something."""
        self._page = max(event.size.height, _FEW)
        if self.source.wanted.limit < self._page:
            self.source.want(limit=self._page)

    def on_unmount(self) -> None:
        self.source.stop()

    # -- What comes

    @on(Looked)
    def show(self, looked: Looked) -> None:
        """Show what has come."""
        self._view = view = looked.view
        for loop in view.loops:
            self._histories.setdefault(loop["number"], History()).add(view.time, loop)
        self._show_head(view)
        self._show_charts(view)
        self._count_warnings(len(view.troubles))
        # A table that is not seen is put right when it is.
        if self._detail is not None:
            if view.wanted.task is not None:
                self._detail.show(view.detail, view.gone)
            return
        if view.wanted.pane == "tasks" and view.wanted.task is None:
            self._table("task").show({str(task["number"]): task_cells(task) for task in view.tasks})
        elif view.wanted.pane == "primitives":
            self._table("primitive").show({row["what"]: primitive_cells(row) for row in view.primitives})
        elif view.wanted.pane == "warnings":
            rows = [trouble_cells(trouble) for trouble in view.troubles]
            self._table("trouble").show({f"{index} {cells[0]}": cells for index, cells in enumerate(rows)})
        elif view.wanted.pane == "loops":
            self._table("loop").show({str(loop["number"]): self._loop_cells(loop) for loop in view.loops})

    @on(Over)
    def end(self, over: Over) -> None:
        """Leave the terminal, and say why."""
        self.exit(over.why)

    def _table(self, what: str) -> Rows:
        return self.screen_stack[0].query_one(f"#{what}-table", Rows)

    def _count_warnings(self, count: int) -> None:
        if count != self._warnings:
            self._warnings = count
            tab = self.screen_stack[0].query_one(TabbedContent).get_tab("warnings")
            tab.label = f"[bold red]Warnings ({count})[/]" if count else "Warnings"

    def _show_head(self, view: View) -> None:
        states = ", ".join(f"{count:,} {state}" for state, count in view.counts["states"].items() if count)
        words = [
            f"{self.hello['program']} ({self.hello['process']})",
            f"{view.counts['total']:,} tasks" + (f": {states}" if states else ""),
        ]
        if view.wanted.search:
            words.append(f"{view.counts['matching']:,} with {view.wanted.search!r}")
        if 0 < len(view.tasks) < view.counts["matching"]:
            words.append(f"the first {len(view.tasks):,} shown")
        if self.source.paused:
            words.append("PAUSED")
        self.screen_stack[0].query_one("#head", Static).update("  ·  ".join(words))

    def _show_charts(self, view: View) -> None:
        numbers = [loop["number"] for loop in view.loops]
        if not numbers:
            return
        if self._chosen not in numbers:
            # The busiest, until somebody chooses.
            self._chosen = max(view.loops, key=lambda loop: loop["steps"])["number"]
        rates = list(self._histories[self._chosen].rates)
        if not rates:
            return
        last = rates[-1]
        of = f" of loop {self._chosen}" if len(numbers) > 1 else ""
        for name, title, values, top in (
            ("utilization", f"utilization{of} {last.utilization:.0%}", [rate.utilization for rate in rates], 1.0),
            ("delay", f"ready delay p99 {duration(last.ready_delay)}", [rate.ready_delay for rate in rates], 1e-3),
            ("lag", f"timer lag p99 {duration(last.lag)}", [rate.lag for rate in rates], 1e-3),
            ("steps", f"{last.steps:,.0f} steps a second", [rate.steps for rate in rates], 10.0),
        ):
            widget = self.screen_stack[0].query_one(f"#{name}", Static)
            widget.update(f"{title}\n{spark(values, max(widget.content_size.width, 10), 3, top)}")

    def _loop_cells(self, loop: dict[str, Any]) -> list[Text]:
        rates = self._histories[loop["number"]].rates
        last = rates[-1] if rates else None
        words = [
            str(loop["number"]),
            f"{last.utilization:.0%}" if last else "",
            f"{last.turns:,.0f}" if last else "",
            f"{last.steps:,.0f}" if last else "",
            f"{last.callbacks:,.0f}" if last else "",
            f"{loop['ready']:,}",
            f"{loop['tasks']:,}",
            f"{loop['timers']:,}",
            f"{loop['descriptors']:,}",
            duration(last.ready_delay) if last else "",
            duration(last.lag) if last else "",
            duration(loop["longest_step"]),
            loop["longest_step_task"] or "",
            f"{loop['bytes_received']:,}",
            f"{loop['bytes_sent']:,}",
        ]
        return [
            Text(word, justify="left" if head == "BY" else "right")
            for word, head in zip(words, LOOP_COLUMNS, strict=True)
        ]

    # -- What is pressed

    @on(TabbedContent.TabActivated)
    def see(self, event: TabbedContent.TabActivated) -> None:
        """Ask for what is in the table that is seen now."""
        self.source.want(pane=event.pane.id)

    def _mark(self) -> None:
        wanted = self.source.wanted
        head = next(head for head, field in _FIELDS.items() if field == wanted.sort)
        self._table("task").mark(head, wanted.descending)

    def _sort_by(self, field: str, descending: bool) -> None:
        self.source.want(sort=field, descending=descending)
        self._mark()

    @on(DataTable.HeaderSelected, "#task-table")
    def sort_by_head(self, event: DataTable.HeaderSelected) -> None:
        """Sort by the column that was clicked; the other way round if it was sorted by."""
        field = _FIELDS[str(event.column_key.value)]
        wanted = self.source.wanted
        self._sort_by(field, not wanted.descending if wanted.sort == field else False)

    def action_sort(self, step: int) -> None:
        fields = list(_FIELDS.values())
        wanted = self.source.wanted
        self._sort_by(fields[(fields.index(wanted.sort) + step) % len(fields)], wanted.descending)

    def action_reverse(self) -> None:
        wanted = self.source.wanted
        self._sort_by(wanted.sort, not wanted.descending)

    def action_pause(self) -> None:
        self.source.paused = not self.source.paused
        if self._view is not None:
            self._show_head(self._view)

    def action_next_loop(self) -> None:
        if self._view is not None and self._view.loops:
            numbers = [loop["number"] for loop in self._view.loops]
            after = [number for number in numbers if number > self._chosen]
            self._chosen = after[0] if after else numbers[0]
            self._show_charts(self._view)

    def action_search(self) -> None:
        self.query_one("#search").add_class("open")
        self.set_focus(self.query_one("#search-input"))

    def action_search_no_more(self) -> None:
        self.query_one("#search").remove_class("open")
        self.query_one("#search-input", Input).value = ""
        self.set_focus(self.query_one("#task-table"))

    @on(Input.Changed, "#search-input")
    def search(self, event: Input.Changed) -> None:
        """Show only what has this in it."""
        self.source.want(search=event.value)

    @on(Input.Submitted, "#search-input")
    def search_done(self) -> None:
        """Back to the table, which stays searched."""
        self.query_one("#search").remove_class("open")
        self.set_focus(self.query_one("#task-table"))

    @on(DataTable.RowHighlighted, "#task-table")
    def come_near_to_the_last(self, event: DataTable.RowHighlighted) -> None:
        """Ask for more before the cursor is at the last."""
        wanted = self.source.wanted
        if self._view is not None and event.cursor_row > wanted.limit - _NEAR < self._view.counts["matching"]:
            self.source.want(limit=wanted.limit + self._page)

    @on(DataTable.RowSelected, "#task-table")
    def look_closely(self, event: DataTable.RowSelected) -> None:
        """Show the task on which enter was pressed."""
        if event.row_key.value is None:
            return
        number = int(event.row_key.value)
        self._detail = TaskScreen(number, self._look_away)
        self.push_screen(self._detail)
        self.source.want(task=number)

    def _look_away(self) -> None:
        self._detail = None
        self.source.want(task=None)
