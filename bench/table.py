"""Results as a table for a terminal: plain text, aligned, one block a case."""

from __future__ import annotations

from collections.abc import Sequence

from bench.case import FLOOR, Metric
from bench.loops import BASELINE
from bench.results import Contender, Result

MISSING = "-"


def number(value: float | None, metric: Metric) -> str:
    return MISSING if value is None else f"{value * metric.scale:,.{metric.decimals}f}"


def times(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{ratio:.2f}"


def label(contender: Contender) -> str:
    uncompiled = contender.description is not None and contender.description.get("compiled") is False
    return f"{contender.loop} (uncompiled)" if uncompiled else contender.loop


def render(result: Result) -> str:
    """One case: a line for each loop, fastest first, under the floor."""
    case = result.selected.case
    ratios = [BASELINE, "best_other", *([FLOOR] if FLOOR in result.contenders else [])]
    headings = {"best_other": "x best other"}
    header = [
        "loop",
        f"{case.headline.heading}/{case.operation}",
        "min .. max",
        *(headings.get(name, f"x {name}") for name in ratios),
        *(metric.heading for metric in case.columns),
    ]
    rows: list[list[str]] = []
    notes: list[str] = []
    for contender in result.in_order():
        if contender.failures:
            failed = f"{len(contender.failures)} of {len(contender.failures) + len(contender.samples)} rounds failed"
            rows.append([label(contender), "failed", *([MISSING] * (len(header) - 2))])
            notes.append(f"  {contender.loop}: {failed}: {contender.failures[0]}")
            continue
        low, high = contender.spread(result.headline)
        compared = result.ratios(contender.loop)
        rows.append(
            [
                label(contender),
                number(contender.median(result.headline), case.headline),
                f"{number(low, case.headline)} .. {number(high, case.headline)}",
                *(times(compared[name]) for name in ratios),
                *(number(contender.median(metric.key), metric) for metric in case.columns),
            ]
        )
    title = f"{result.selected.title}: {case.summary}"
    return "\n".join([title, *align([header, *rows]), *notes])


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
