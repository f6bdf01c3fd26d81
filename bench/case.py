"""What a benchmark case is: a name, what one operation of it is, its sizes, and how to measure one sample.

Three kinds exist. An :class:`InProcess` case times a coroutine inside a fresh process. A :class:`Probe` is a coroutine
in a fresh process that measures something by itself, such as memory. An :class:`Echo` case is a server
in a fresh process, under load from a C program on another core. All yield a flat ``{metric: number}`` for each sample,
so that everything after the measurement (rounds, medians, ratios, tables, JSON) does not know which kind it was.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
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

    ``run(count, api)`` must do all its work before it returns and may not sleep for other reasons than the case itself.
    ``api`` is the module that has the functions named in ``uses``: ``asyncio``, or a package with its own of them.
    ``floor(count)``, where there is one, does the same work as plain Python without a loop.
    """

    name: str
    summary: str
    operation: str
    run: Callable[[int, Any], Awaitable[object]]
    count: int
    quick_count: int
    floor: Callable[[int], object] | None = None
    uses: Sequence[str] = ()
    network: bool = False
    packages: Sequence[str] = ()
    """Packages that it imports; without one of them the case is named as not run."""
    server: str | None = None
    """One of :mod:`bench.servers` that it is a client of; without it the case is named as not run."""

    headline = Metric("cpu_ns", "CPU ns", 0)
    columns: Sequence[Metric] = (Metric("wall_ns", "wall ns", 0),)

    @property
    def variants(self) -> tuple[str, ...]:
        return ("",)

    def has_floor(self) -> bool:
        return self.floor is not None


@dataclass(frozen=True)
class Probe:
    """A coroutine that measures ``count`` operations by itself: ``run(count, api)`` returns the sample.

    ``counts`` are the variants, by name: one for most probes, several for a growth curve.
    """

    name: str
    summary: str
    operation: str
    run: Callable[[int, Any], Awaitable[Sample]]
    headline: Metric
    columns: Sequence[Metric] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    quick_count: int = 100
    uses: Sequence[str] = ()
    own_only: bool = False
    """Only for packages that have what it uses: asyncio has nothing like it."""
    long: Collection[str] = ()
    """Variants that a brief run leaves out."""
    network: bool = False
    packages: Sequence[str] = ()
    server: str | None = None

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.counts)

    def has_floor(self) -> bool:
        return False


@dataclass(frozen=True)
class Load:
    """What the load generator does to an echo server: clients with one request each in flight at any time."""

    connections: int
    size: int
    hold: bool = False
    """Connections that are opened, used once and held, for what each adds to the server's memory."""

    @property
    def name(self) -> str:
        size = f"{self.size // 1024}k" if self.size % 1024 == 0 else f"{self.size}b"
        return f"{self.connections}x{size}"


@dataclass(frozen=True)
class Echo:
    """A server on loopback; ``serve(size, api)`` starts it and returns an object with ``sockets``, or ``address``.

    ``generator`` is the C program that loads it. ``floor_program``, where there is one, the C server that is its floor.
    """

    name: str
    summary: str
    serve: Callable[[int, Any], Awaitable[Any]]
    loads: Mapping[str, Load]
    operation: str = "request"
    generator: str = "echo_load"
    floor_program: str | None = "echo_server"
    uses: Sequence[str] = ()
    long: Collection[str] = ()
    """Variants that a brief run leaves out."""
    packages: Sequence[str] = ()
    """Packages that the server imports; without one of them the case is named as not run."""
    server: str | None = None
    network: bool = True

    headline: Metric = Metric("cpu_us", "CPU us", 2)
    columns: Sequence[Metric] = field(
        default=(
            Metric("user_us", "user", 2),
            Metric("system_us", "system", 2),
            Metric("requests_per_s", "kreq/s", 1, 1e-3),
            Metric("p50_us", "p50 us", 0),
            Metric("p99_us", "p99 us", 0),
            Metric("p999_us", "p99.9 us", 0),
            Metric("rss_mb", "MB", 1),
        ),
    )

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.loads)

    def has_floor(self) -> bool:
        return self.floor_program is not None


Case = InProcess | Probe | Echo


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


def select(names: Sequence[str] | None, brief: bool = False) -> list[Selected]:
    """The cases named ``case`` or ``case:variant``; without names, every variant of every case that is not too long.

    :raises UnknownCase: for a name that is neither.
    """
    cases = discover()
    every = {s.title: s for case in cases.values() for s in (Selected(case, v) for v in case.variants)}
    if names is None:
        return [s for s in every.values() if not (brief and s.variant in getattr(s.case, "long", ()))]
    chosen: dict[str, Selected] = {}
    for name in names:
        matching = {name: every[name]} if name in every else {t: s for t, s in every.items() if s.case.name == name}
        if not matching:
            raise UnknownCase(f"unknown case {name!r}: use one of {', '.join(cases)}, or a variant: {', '.join(every)}")
        chosen.update(matching)
    return list(chosen.values())
