"""The loops that can be compared: one entry each, used when its package is installed.

An entry only names a module and its loop factory, so that listing loops imports none of them. A loop that is not
here can be measured without an edit, as ``--loops package.module:factory``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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

    def installed(self) -> bool:
        try:
            return importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:  # the parent package of a dotted name is missing
            return False

    def create(self) -> asyncio.AbstractEventLoop:
        loop: asyncio.AbstractEventLoop = getattr(importlib.import_module(self.module), self.factory)()
        return loop

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
        Loop("asyncio", "asyncio"),
        Loop("uvloop", "uvloop"),
        Loop("rloop", "rloop"),
        Loop("zloop", "zloop"),
        Loop("blazio", "blazio"),
        Loop("zuvloop", "zuvloop"),
        Loop("rsloop", "rsloop"),
    )
}


def find(name: str) -> Loop:
    """The loop of that name, or of that ``module:factory``.

    :raises UnknownLoop: if there is no such entry, or its package is not installed.
    """
    module, colon, factory = name.partition(":")
    if colon and module and factory:
        loop = Loop(name, module, factory)
    elif name in REGISTRY:
        loop = REGISTRY[name]
    else:
        raise UnknownLoop(f"unknown loop {name!r}: use one of {', '.join(REGISTRY)}, or module:factory")
    if not loop.installed():
        raise UnknownLoop(f"loop {name!r} is not installed: no module named {loop.module!r}")
    return loop


def select(names: Sequence[str] | None) -> list[Loop]:
    """The loops named, in that order; without names, all that are installed.

    :raises UnknownLoop: see :func:`find`.
    """
    if names is None:
        return [loop for loop in REGISTRY.values() if loop.installed()]
    return [find(name) for name in unique(names)]


def unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
