"""The table that compares runs, and what a reader should take from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .fetching import KINDS, Run
from .screen import Screen


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Nearest-rank percentile; None of no values."""
    ordered = sorted(values)
    return ordered[max(math.ceil(percent / 100 * len(ordered)) - 1, 0)] if ordered else None


def milliseconds(seconds: float | None, none: str) -> str:
    return none if seconds is None else f"{seconds * 1000:.0f} ms"


def expected_total(run: Run) -> float:
    """Seconds that all resources would take at this run's pace."""
    return run.total * run.of / max(len(run.finished()), 1)


def table(screen: Screen, runs: Sequence[Run]) -> list[str]:
    """One column a run."""
    none = screen.glyphs.none

    def latency(percent: float) -> Callable[[Run], str]:
        return lambda run: milliseconds(percentile([f.latency for f in run.succeeded()], percent), none)

    def failures(kind: str) -> Callable[[Run], str]:
        return lambda run: str(len(run.failed(kind)) or none)

    rows: list[tuple[str, Callable[[Run], str]]] = [
        ("resources", lambda run: f"{run.wanted} of {run.of}" if run.wanted != run.of else str(run.of)),
        ("total time", lambda run: f"{run.total:.2f} s"),
    ]
    if any(run.wanted != run.of for run in runs):
        rows.append((f"time for all {runs[0].of}", lambda run: _about(run)))
    rows += [
        ("resources a second", lambda run: f"{len(run.finished()) / run.total:.1f}" if run.total else none),
        ("latency p50", latency(50)),
        ("latency p99", latency(99)),
        ("ok", lambda run: str(len(run.succeeded()))),
        ("failed", lambda run: str(len(run.failed()) or none)),
    ]
    rows += [(f"  {kind}", failures(kind)) for kind in KINDS if any(run.failed(kind) for run in runs)]
    rows += [
        ("retries", lambda run: str(run.retries() or none)),
        ("most requests in flight", lambda run: str(run.most_in_flight)),
        ("most tasks alive", lambda run: str(run.most_tasks)),
    ]
    heads = [run.name for run in runs]
    body = [[cell(run) for run in runs] for _, cell in rows]
    widths = [max(len(text) for text in column) for column in zip(heads, *body, strict=True)]
    first = max(len(name) for name, _ in rows)
    lines = [_row("", heads, first, widths), "  " + screen.glyphs.rule * (first + sum(w + 3 for w in widths))]
    lines += [_row(name, cells, first, widths) for (name, _), cells in zip(rows, body, strict=True)]
    return lines


def _about(run: Run) -> str:
    return f"about {expected_total(run):.0f} s" if run.wanted != run.of else f"{run.total:.2f} s"


def _row(name: str, cells: Sequence[str], first: int, widths: Sequence[int]) -> str:
    return f"  {name:{first}}" + "".join(f"   {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def findings(sequential: Run, at_once: Run, bounded: Run, *, capacity: int, limit: int) -> list[str]:
    """What the three runs show, in sentences, from their numbers."""
    estimate = expected_total(sequential)
    lines = [
        f"One after another, {sequential.of} resources would take about {estimate:.0f} s: the sum of all waits.",
        f"All at once took {at_once.total:.1f} s: the waits overlap, and the total is the longest of them.",
    ]
    missing = len(at_once.failed())
    refused = len(at_once.failed("5xx"))
    if at_once.most_in_flight > capacity and refused > len(bounded.failed("5xx")):
        lines += [
            f"But the service takes {capacity} requests at once, not {at_once.most_in_flight}. "
            f"It turned the others away, and since nothing was tried again, {missing} resources are missing.",
        ]
    others = f"; the other {len(bounded.failed())} failed on every try" if bounded.failed() else ""
    lines += [
        f"Bounded to {limit} in flight, with a timeout and retries, {len(bounded.succeeded())} of {bounded.wanted} "
        f"arrived in {bounded.total:.1f} s{others}.",
        f"A semaphore bounds requests, not tasks: {bounded.most_tasks} tasks were alive, most waiting for a turn.",
    ]
    return lines


def failure_list(screen: Screen, run: Run, most: int = 15) -> list[str]:
    """One line a failed URL with the reason, at most ``most`` of them."""
    failed = run.failed()
    lines = [f"  {fetch.outcome:10}  {fetch.url}  ({fetch.detail})" for fetch in failed[:most]]
    if len(failed) > most:
        lines.append(f"  and {len(failed) - most} more")
    return lines
