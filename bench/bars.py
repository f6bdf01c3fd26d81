"""What hocket is held to: for each case the highest ratio to the best other loop, and to the floor, that will do.

"Best" is the loop that is best in that case in that run. For hocket's own functions (``hocket-own``) it is the best
other loop with asyncio's functions. A case without a bar is there to be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.case import FLOOR
from bench.loops import BASELINE
from bench.results import Result

HOCKET, OWN, RECORDER, WATCHDOG = "hocket", "hocket-own", "hocket-recorder", "hocket-watchdog"


@dataclass(frozen=True)
class Bar:
    """At most this ratio to the best other loop: with asyncio's functions, with hocket's own, and to the floor."""

    stock: float | None = None
    own: float | None = None
    floor: float | None = None


BARS = {
    "switch": Bar(stock=0.80, own=0.45, floor=1.15),
    "gather": Bar(stock=0.70, own=0.40),
    "create_await": Bar(stock=0.60),
    "timers_sleep": Bar(stock=0.70, own=0.40),
    "timeout": Bar(stock=0.80, own=0.35),
    "time_limit": Bar(own=0.50),
    "future_ping_pong": Bar(stock=0.70),
    "call_soon": Bar(stock=0.95),
    "timers_cancel": Bar(stock=0.95),
    "threadsafe_burst": Bar(stock=0.95),
    "threadsafe_round_trip": Bar(stock=0.95),
    "queue": Bar(own=0.40),
    "queue_100": Bar(own=0.40),
    "channel": Bar(own=0.50),
    "channel_100": Bar(own=0.50),
    "event": Bar(own=0.40),
    "lock": Bar(own=0.40),
    "lock_free": Bar(own=0.40),
    "semaphore": Bar(own=0.40),
    "condition": Bar(own=0.40),
    "task_group": Bar(own=0.50),
    "to_thread": Bar(own=0.90),
    "task_memory": Bar(stock=0.80),
    "tcp_protocol": Bar(stock=0.95),
    "tcp_buffered": Bar(stock=0.95),
    "tcp_streams": Bar(stock=0.80, own=0.60),
    "tcp_sock": Bar(stock=0.90),
    "unix": Bar(stock=0.90),
    "udp": Bar(stock=0.90),
    "churn": Bar(stock=0.90),
    "tls_protocol": Bar(stock=0.95),
    "tls_handshakes": Bar(stock=1.0),
    "idle": Bar(stock=0.90),
    "subprocess": Bar(stock=0.90),
    "http_aiohttp": Bar(stock=0.95),
    "http_uvicorn": Bar(stock=0.95),
}

LEAST_THROUGHPUT = {"tcp_protocol:200x1k": 0.92, "tcp_buffered:200x1k": 0.92}
"""Requests a second, at least this share of the floor's."""

MOST_USER_TIME = {"tcp_protocol": 0.6, "tcp_buffered": 0.6}
"""User time a request, at most this ratio to uvloop's."""


MOST = {"start_up": (("import, ms", "import_ms", 10.0), ("import and run, ms", "used_ms", 10.0))}
"""What a number of hocket's may be at most, whatever the others need."""

MOST_OWN = {
    "amap": (("an item, us", "cpu_us", 2.0), ("memory grown, KiB", "grown_kib", 1024.0)),
    "amap_turn": (("an item, us", "cpu_us", 2.0), ("memory grown, KiB", "grown_kib", 1024.0)),
    "pipeline": (("five policies, ns", "cost_ns", 3_000.0),),
}
"""The same of hocket's own functions."""

COSTS = {
    "switch": ((HOCKET, "hocket@", 1.12), (RECORDER, HOCKET, 1.40), (WATCHDOG, HOCKET, 1.02)),
    "http_aiohttp": ((HOCKET, "hocket@", 1.02), (RECORDER, HOCKET, 1.05), (WATCHDOG, HOCKET, 1.02)),
}
"""What looking costs: of two contenders, at most this ratio of the first to the second. ``hocket@`` is any other build:
one without what is always counted."""


@dataclass(frozen=True)
class Verdict:
    """One bar of one case: ``ratio`` is ``mine`` over that of ``other``, both as the case's headline counts them."""

    title: str
    what: str
    mine: float | None
    other: str
    theirs: float | None
    ratio: float
    bar: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.ratio >= self.bar if self.at_least else self.ratio <= self.bar

    @property
    def beside(self) -> str:
        """What it is compared with, in words; that it failed if it did."""
        return "failed" if self.mine is None else self.other


def best_peer(result: Result) -> str | None:
    """The best of the loops that are not hocket's, with asyncio's functions."""
    peers = {
        name: median
        for name in result.contenders
        if name.partition("@")[0].partition("-")[0] not in (HOCKET, FLOOR)
        and (median := result.median(name)) is not None
    }
    return min(peers, key=peers.__getitem__) if peers else None


def verdicts(results: Iterable[Result]) -> list[Verdict]:
    """Every bar that these results can be held against. A case that hocket ran alone in gives none; one that it failed
    in is a bar that is not met."""
    return [verdict for result in results for verdict in of_case(result)]


def of_case(result: Result) -> Iterator[Verdict]:
    title = result.selected.title
    bar = BARS.get(result.selected.case.name, Bar())
    peer = best_peer(result)
    for what, mine, other, limit in (
        ("asyncio's functions", HOCKET, peer, bar.stock),
        ("hocket's own", OWN, peer, bar.own),
        ("over the floor", HOCKET, FLOOR, bar.floor),
    ):
        ratio = result.ratio(mine, other)
        if limit is None or mine not in result.contenders:
            continue
        if result.contenders[mine].failures:
            yield Verdict(title, what, None, "", None, math.inf, limit)
        elif other is not None and ratio is not None:
            yield Verdict(title, what, result.median(mine), other, result.median(other), ratio, limit)
    for what, metric, other, limits, key, at_least in (
        ("throughput", "requests_per_s", FLOOR, LEAST_THROUGHPUT, title, True),
        ("user time", "user_us", BASELINE, MOST_USER_TIME, result.selected.case.name, False),
    ):
        values = [
            result.contenders[name].median(metric) if name in result.contenders else None for name in (HOCKET, other)
        ]
        if key in limits and values[0] is not None and values[1]:
            yield Verdict(title, what, values[0], other, values[1], values[0] / values[1], limits[key], at_least)
    for mine, beside, limit in COSTS.get(result.selected.case.name, ()):
        for other in result.contenders:
            ratio = result.ratio(mine, other)
            if (other.startswith(beside) if beside.endswith("@") else other == beside) and ratio is not None:
                what = f"what {mine} costs" if mine != HOCKET else "what is always counted"
                yield Verdict(title, what, result.median(mine), other, result.median(other), ratio, limit)
    for mine, limits_of in ((HOCKET, MOST), (OWN, MOST_OWN)):
        for what, metric, most in limits_of.get(result.selected.case.name, ()):
            value = result.contenders[mine].median(metric) if mine in result.contenders else None
            if value is not None:
                yield Verdict(title, what, value, "the limit", most, value / most, 1.0)


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def render(found: Iterable[Verdict], align: Callable[[Sequence[Sequence[str]]], list[str]]) -> str:
    """A table: what is held to which bar, and whether it is met."""
    rows = [["case", "what", "hocket", "beside", "", "ratio", "bar", "met"]]
    for v in found:
        bar = f"{'>=' if v.at_least else '<='} {v.bar:.2f}"
        rows.append(
            [
                v.title,
                v.what,
                figure(v.mine),
                v.beside,
                figure(v.theirs),
                f"{v.ratio:.2f}",
                bar,
                "yes" if v.met else "NO",
            ]
        )
    return "\n".join(["bars", *align(rows)]) if len(rows) > 1 else ""
