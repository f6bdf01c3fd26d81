"""What a benchmark case is: a name, what one operation of it is, its sizes, and how to measure one sample.

Two kinds exist. An :class:`InProcess` case times a coroutine inside a fresh process. An :class:`Echo` case is a server
in a fresh process, under load from a C program on another core. Both yield a flat ``{metric: number}`` for each sample,
so that everything after the measurement (rounds, medians, ratios, tables, JSON) does not know which kind it was.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FLOOR = "floor"
"""The name under which a case's floor (the same work without any event loop) stands among the loops."""

Sample = dict[str, float]


@dataclass(frozen=True)
class Metric:
    """One number of a sample: its key, its column heading, and how many decimals are worth printing."""

    key: str
    heading: str
    decimals: int = 0
    scale: float = 1.0


class UnknownCase(Exception):
    """A case or variant was asked for that does not exist; the message lists those that do."""


@dataclass(frozen=True)
class InProcess:
    """A coroutine that performs ``count`` operations, timed by the process's own CPU clock and by the wall.

    ``run(count)`` must do all its work before it returns and may not sleep for other reasons than the case itself.
    ``floor(count)``, where there is one, does the same work as plain Python without a loop.
    """

    name: str
    summary: str
    operation: str
    run: Callable[[int], Awaitable[object]]
    count: int
    quick_count: int
    floor: Callable[[int], object] | None = None

    headline = Metric("cpu_ns", "CPU ns", 0)
    columns: Sequence[Metric] = (Metric("wall_ns", "wall ns", 0),)

    @property
    def variants(self) -> tuple[str, ...]:
        return ("",)

    def has_floor(self) -> bool:
        return self.floor is not None


@dataclass(frozen=True)
class Load:
    """What the load generator does to an echo server: clients with one request each in flight at any time."""

    connections: int
    size: int

    @property
    def name(self) -> str:
        size = f"{self.size // 1024}k" if self.size % 1024 == 0 else f"{self.size}b"
        return f"{self.connections}x{size}"


@dataclass(frozen=True)
class Echo:
    """A TCP echo server on loopback; ``serve(size)`` starts it and returns an object with ``sockets``.

    ``generator`` is the C program that loads it. Its floor, where it has one, is the C server of ``bench/native``.
    """

    name: str
    summary: str
    serve: Callable[[int], Awaitable[Any]]
    loads: Mapping[str, Load]
    operation: str = "request"
    generator: str = "echo_load"
    floor: bool = True

    headline = Metric("cpu_us", "CPU us", 2)
    columns: Sequence[Metric] = field(
        default=(
            Metric("user_us", "user", 2),
            Metric("system_us", "system", 2),
            Metric("requests_per_s", "kreq/s", 1, 1e-3),
            Metric("p50_us", "p50 us", 0),
            Metric("p99_us", "p99 us", 0),
            Metric("p999_us", "p99.9 us", 0),
        ),
    )

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.loads)

    def has_floor(self) -> bool:
        return self.floor


Case = InProcess | Echo


@dataclass(frozen=True)
class Selected:
    """One variant of a case: what a table, a JSON record and a measurement are about."""

    case: Case
    variant: str

    @property
    def title(self) -> str:
        return f"{self.case.name}:{self.variant}" if self.variant else self.case.name


def loads(*loads: Load) -> dict[str, Load]:
    return {load.name: load for load in loads}


def discover() -> dict[str, Case]:
    """Every case under ``bench/cases``, by name: each module there has a ``CASE`` or several ``CASES``."""
    package = importlib.import_module("bench.cases")
    found: dict[str, Case] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"bench.cases.{info.name}")
        for case in getattr(module, "CASES", None) or (module.CASE,):
            if case.name in found:
                raise ValueError(f"two benchmark cases are called {case.name!r}")
            found[case.name] = case
    return found


def select(names: Sequence[str] | None) -> list[Selected]:
    """The cases named ``case`` or ``case:variant``; without names, every variant of every case.

    :raises UnknownCase: for a name that is neither.
    """
    cases = discover()
    every = {s.title: s for case in cases.values() for s in (Selected(case, v) for v in case.variants)}
    if names is None:
        return list(every.values())
    chosen: dict[str, Selected] = {}
    for name in names:
        matching = {name: every[name]} if name in every else {t: s for t, s in every.items() if s.case.name == name}
        if not matching:
            raise UnknownCase(f"unknown case {name!r}: use one of {', '.join(cases)}, or a variant: {', '.join(every)}")
        chosen.update(matching)
    return list(chosen.values())
