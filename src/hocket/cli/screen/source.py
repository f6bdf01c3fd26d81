"""What ``hocket top`` asks the process, twice a second, and no more of it than is on the screen.

To be looked at costs the process something: the agent says with each answer how much processor time it took, and the
source waits longer where twice a second would be more than its share.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hocket.cli.asking import WAITED_FOR
from hocket.cli.client import Client
from hocket.cli.errors import UsageError

#: How often is looked, in seconds, and of what share of one processor the agent may make use meanwhile.
INTERVAL = 0.5
SHARE = 0.045
#: How often one who could wake a task is looked for, and for how long, in seconds.
_SEARCH_EVERY = 5.0
_SEARCH = 0.2
#: How often is asked for warnings while they are only counted, in seconds at least, and what share that may take.
_WARNINGS_EVERY = 10.0
_SHARE_OF_WARNINGS = 0.01


@dataclass(frozen=True)
class Wanted:
    """What is on the screen: how many tasks, in which order, the number of one that is looked at closely, and which
    of the other tables is seen."""

    sort: str = "number"
    descending: bool = False
    search: str = ""
    limit: int = 20
    task: int | None = None
    pane: str = "tasks"


@dataclass(frozen=True)
class View:
    """What the process has said at one moment.  ``cost`` is the processor time that it took, in seconds."""

    wanted: Wanted
    time: float
    loops: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    counts: dict[str, Any]
    detail: dict[str, Any] | None
    gone: str | None
    primitives: list[dict[str, Any]]
    troubles: list[dict[str, Any]]
    cost: float


class Source:
    """Asks again and again, in a thread of its own, and calls *show* with each `View` and *fail* when it is over."""

    def __init__(self, client: Client, show: Callable[[View], object], fail: Callable[[str], object]) -> None:
        self._client = client
        self._show = show
        self._fail = fail
        self._wanted = Wanted()
        self._at_once = threading.Event()
        self._stopped = False
        self.paused = False
        # The last answer with those who could wake the task, and when to look for them again.
        self._searched: dict[str, Any] | None = None
        self._search_again = 0.0
        # The last warnings, and when to ask for them again.
        self._troubles: list[dict[str, Any]] = []
        self._troubles_again = 0.0

    @property
    def wanted(self) -> Wanted:
        """What is asked for."""
        return self._wanted

    def want(self, **changes: Any) -> None:
        """Ask for something else from now on."""
        self._wanted = replace(self._wanted, **changes)
        self._at_once.set()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        self._at_once.set()

    def run(self) -> None:
        """Ask until `stop` is called, or the process has ended."""
        asked = None
        try:
            while not self._stopped:
                self._at_once.clear()
                begun = time.monotonic()
                cost = 0.0
                if not self.paused or asked != self._wanted:
                    asked = self._wanted
                    view = self._look(asked)
                    cost = view.cost
                    self._show(view)
                self._at_once.wait(max(begun + max(INTERVAL, cost / SHARE) - time.monotonic(), 0.0))
        except UsageError as error:
            if not self._stopped:
                self._fail(str(error))
        finally:
            self._client.close()

    def _look(self, wanted: Wanted) -> View:
        """Ask for everything that *wanted* is about."""
        client = self._client
        sees_tasks = wanted.pane == "tasks" and wanted.task is None
        client.send("loops")
        client.send(
            "tasks",
            sort=wanted.sort,
            descending=wanted.descending,
            search=wanted.search,
            limit=wanted.limit if sees_tasks else 0,
            waited_for=WAITED_FOR,
        )
        loops, tasks = client.receive(), client.receive()
        cost: float = loops.end["cost"] + tasks.end["cost"]
        detail, gone, primitives = None, None, []
        if wanted.task is not None:
            try:
                answer = client.ask("task", task=wanted.task, watch=True, wakers=self._search(wanted.task))
            except UsageError as error:
                if client.over:
                    raise
                gone = str(error)
            else:
                detail = self._with_wakers(answer.rows[0])
                cost += answer.end["cost"]
        elif wanted.pane == "primitives":
            found = client.ask("primitives")
            primitives = found.rows
            cost += found.end["cost"]
        if wanted.task is None:
            cost += self._look_for_troubles(wanted.pane == "warnings")
        return View(
            wanted,
            time.monotonic(),
            loops.rows,
            tasks.rows,
            tasks.end,
            detail,
            gone,
            primitives,
            self._troubles,
            cost,
        )

    def _look_for_troubles(self, seen: bool) -> float:
        """Ask for warnings if it is time; each time if they are *seen*.  Returns what is to be counted as its cost."""
        if self._troubles_again == float("inf") or (not seen and time.monotonic() < self._troubles_again):
            return 0.0
        try:
            answer = self._client.ask("troubles", search=False)
        except UsageError:
            if self._client.over:
                raise
            self._troubles_again = float("inf")  # It knows of none.
            return 0.0
        self._troubles = answer.rows
        cost: float = answer.end["cost"]
        self._troubles_again = time.monotonic() + max(_WARNINGS_EVERY, cost / _SHARE_OF_WARNINGS)
        return cost if seen else 0.0

    # -- Who could wake the task: what takes so long is not looked for each time.

    def _search(self, task: int) -> float | None:
        now = time.monotonic()
        if self._searched is None or self._searched["task"]["number"] != task or now >= self._search_again:
            self._search_again = now + _SEARCH_EVERY
            return _SEARCH
        return None

    def _with_wakers(self, row: dict[str, Any]) -> dict[str, Any]:
        known = self._searched
        if row["wakers"] is not None:
            self._searched = row
        elif known is not None and all(known["task"][name] == row["task"][name] for name in ("number", "steps")):
            return row | {"wakers": known["wakers"], "searched": known["searched"]}
        return row
