"""The loops that can be compared: one entry each, used when its package is installed.

An entry only names a module and its loop factory, so that listing loops imports none of them. A loop that is not
here can be measured without an edit, as ``--loops package.module:factory``.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

BASELINE = "uvloop"
"""The loop that every other one is compared with in the ``x uvloop`` column."""


class UnknownLoop(Exception):
    """A loop was asked for that is neither registered nor installed; the message says what to do."""


@dataclass(frozen=True)
class Loop:
    """A loop under test: how it is called in tables, and where its factory is."""

    name: str
    module: str
    factory: str = "new_event_loop"
    over: str | None = None
    """The module of the loop that this one's network layer is put over: a factory that takes a loop factory."""
    own: bool = False
    """Run the cases with the package's own functions (``hocket.sleep``, ``hocket.gather``) in place of asyncio's."""

    def missing(self) -> str | None:
        """The name of the module that is not installed; None if nothing is."""
        for module in (self.module, self.over):
            try:
                if module is not None and importlib.util.find_spec(module) is None:
                    return module
            except ModuleNotFoundError:  # the parent package of a dotted name is missing
                return module
        return None

    def create(self) -> asyncio.AbstractEventLoop:
        factory = getattr(importlib.import_module(self.module), self.factory)
        if self.over is not None:
            factory = factory(importlib.import_module(self.over).new_event_loop)
        loop: asyncio.AbstractEventLoop = factory()
        return loop

    def api(self) -> ModuleType:
        """Where a case finds ``sleep``, ``gather``, ``Queue`` and the like."""
        return importlib.import_module(self.module if self.own else "asyncio")

    def suits(self, uses: Collection[str], network: bool) -> bool:
        """False for what would measure nothing new: asyncio's functions twice, a network layer without network."""
        if self.own:
            return bool(uses) and all(hasattr(self.api(), name) for name in uses)
        return network or self.over is None

    def describe(self, loop: asyncio.AbstractEventLoop) -> dict[str, Any]:
        """What was really measured: class, version and, for a loop that has two forms, which one."""
        module = importlib.import_module(self.module)
        compiled = getattr(module, "is_compiled", None)
        return {
            "class": f"{type(loop).__module__}.{type(loop).__qualname__}",
            "version": getattr(module, "__version__", None),
            "compiled": compiled() if compiled is not None else None,
        }


REGISTRY = {
    loop.name: loop
    for loop in (
        Loop("hocket", "hocket"),
        Loop("hocket-own", "hocket", own=True),
        Loop("asyncio", "asyncio"),
        Loop("uvloop", "uvloop"),
        Loop("rloop", "rloop"),
        Loop("zloop", "zloop"),
        Loop("blazio", "blazio"),
        Loop("zuvloop", "zuvloop"),
        Loop("rsloop", "rsloop"),
        Loop("aiofastnet", "aiofastnet", "loop_factory", over="asyncio"),
        Loop("aiofastnet-uvloop", "aiofastnet", "loop_factory", over="uvloop"),
    )
}


OBSERVED = {
    loop.name: loop
    for loop in (
        Loop("hocket-recorder", "bench.observed", "recorder"),
        Loop("hocket-watchdog", "bench.observed", "watchdog"),
        Loop("hocket-agent", "bench.observed", "agent"),
        Loop("hocket-metrics", "bench.observed", "metrics"),
    )
}
"""hocket with something looking at it, for what that costs; measured when it is asked for by name."""


def find(name: str) -> Loop:
    """The loop of that name, or of that ``module:factory``; of ``name@DIRECTORY``, as built there.

    :raises UnknownLoop: if there is no such entry, or its package is not installed.
    """
    named, at, build = name.partition("@")
    loop = look_up(named)
    if at:
        # Whether it is installed there is seen when Python looks there.
        if not os.path.isdir(build):
            raise UnknownLoop(f"loop {name!r}: there is no directory {build!r}")
        return replace(loop, name=name)
    if (module_name := loop.missing()) is not None:
        raise UnknownLoop(f"loop {name!r} is not installed: no module named {module_name!r}")
    return loop


def look_up(name: str) -> Loop:
    module, colon, factory = name.partition(":")
    if colon and module and factory:
        return Loop(name, module, factory)
    known = REGISTRY | OBSERVED
    if name not in known:
        raise UnknownLoop(f"unknown loop {name!r}: use one of {', '.join(known)}, name@DIRECTORY or module:factory")
    return known[name]


def select(names: Sequence[str] | None) -> list[Loop]:
    """The loops named, in that order; without names, all that are installed.

    :raises UnknownLoop: see :func:`find`.
    """
    if names is None:
        return [loop for loop in REGISTRY.values() if loop.missing() is None]
    return [find(name) for name in unique(names)]


def absent() -> list[str]:
    """The registered loops that are not installed: a report names them, so that nobody takes them for beaten."""
    return [loop.name for loop in REGISTRY.values() if loop.missing() is not None]


def unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
