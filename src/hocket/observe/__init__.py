"""What the engine counts, read out.  It reads and never steers.

import hocket.observe

print(hocket.observe.snapshot().loops[0].ready_delays.quantile(0.99))
"""

from __future__ import annotations

import importlib as _importlib
import sys as _sys
from types import ModuleType as _ModuleType

TYPE_CHECKING = False  # without importing typing
if TYPE_CHECKING:
    from typing import Any

    from hocket.observe.agent import Agent, start_agent, stop_agent
    from hocket.observe.blockage import Blockage
    from hocket.observe.facts import HistogramFacts, LoopFacts, Place, Snapshot, TaskFacts, WaitFacts
    from hocket.observe.graph import Deadlock, Findings, Graph, Leak, Node, deadlocks, graph
    from hocket.observe.leaks import LeakedTasks, no_leaks
    from hocket.observe.primitives import PrimitiveFacts, primitives
    from hocket.observe.recorder import mark, span
    from hocket.observe.snapshot import snapshot
    from hocket.observe.tree import format_tree, print_tree, tree_lines
    from hocket.observe.wakers import Waker, wakers
    from hocket.observe.watchdog import Watchdog

__all__ = [
    "Agent",
    "Blockage",
    "Deadlock",
    "Findings",
    "Graph",
    "HistogramFacts",
    "Leak",
    "LeakedTasks",
    "LoopFacts",
    "Node",
    "Place",
    "PrimitiveFacts",
    "Snapshot",
    "TaskFacts",
    "WaitFacts",
    "Waker",
    "Watchdog",
    "deadlocks",
    "format_tree",
    "graph",
    "mark",
    "no_leaks",
    "primitives",
    "print_tree",
    "snapshot",
    "span",
    "start_agent",
    "stop_agent",
    "tree_lines",
    "wakers",
]

#: Module: what is found here of it.  Imported when asked for: `hocket ps` looks from outside, with none of the engine.
_ON_DEMAND = {
    "agent": "Agent start_agent stop_agent",
    "blockage": "Blockage",
    "facts": "HistogramFacts LoopFacts Place Snapshot TaskFacts WaitFacts",
    "graph": "Deadlock Findings Graph Leak Node deadlocks graph",
    "leaks": "LeakedTasks no_leaks",
    "primitives": "PrimitiveFacts primitives",
    "recorder": "mark span",
    "snapshot": "snapshot",
    "tree": "format_tree print_tree tree_lines",
    "wakers": "Waker wakers",
    "watchdog": "Watchdog",
}
_MODULES = {name: module for module, names in _ON_DEMAND.items() for name in names.split()}


class _Observe(_ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        # A function may have the name of its module, which the import system puts here: the function is what is meant.
        if _MODULES.get(name) == name and isinstance(value, _ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Observe


def __getattr__(name: str) -> Any:
    # A name of those above, or a module.
    module = f"hocket.observe.{_MODULES.get(name, name)}"
    try:
        found: Any = None if name.startswith("_") else _importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        found = None
    if found is None:
        raise AttributeError(f"module 'hocket.observe' has no attribute {name!r}")
    if name in _MODULES:
        found = globals()[name] = getattr(found, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
