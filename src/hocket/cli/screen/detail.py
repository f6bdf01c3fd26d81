"""One task, looked at closely: where it stands, what it waits on, and both of its histograms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from hocket.cli.screen.charts import bars
from hocket.cli.screen.rates import counts_of
from hocket.cli.where import describe


class TaskScreen(Screen[None]):
    """Shows what `show` is given, until escape is pressed; then *leave* is called."""

    DEFAULT_CSS = """
    TaskScreen #told { height: auto; padding: 1 1 0 1; }
    TaskScreen #histograms { height: auto; padding: 1 1; }
    TaskScreen .histogram { width: 1fr; height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "leave", "Back"),
        Binding("p", "app.pause", "Pause"),
        Binding("q", "app.quit", "Quit"),
    ]

    def __init__(self, number: int, leave: Callable[[], object]) -> None:
        super().__init__()
        self._number = number
        self._leave = leave

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(f"task {self._number}", id="told", markup=False)
            with Horizontal(id="histograms"):
                yield Static("", id="steps", classes="histogram", markup=False)
                yield Static("", id="delays", classes="histogram", markup=False)
        yield Footer()

    def show(self, row: dict[str, Any] | None, gone: str | None) -> None:
        """Show a ``task`` answer, or why there is none any more."""
        if gone is not None or row is None:
            self.query_one("#told", Static).update(f"task {self._number} has ended" if gone else "")
            return
        self.query_one("#told", Static).update("\n".join(describe(row)))
        histograms = row["histograms"]
        if histograms:
            width = max(self.size.width // 2 - 28, 8)
            for widget, title, name in (
                ("#steps", "How long its steps took, since you look", "step_times"),
                ("#delays", "How long it was ready before them", "ready_delays"),
            ):
                lines = bars(counts_of(histograms[name]), width)
                self.query_one(widget, Static).update("\n".join([title, "", *lines]))

    def action_leave(self) -> None:
        self._leave()
        self.dismiss()
