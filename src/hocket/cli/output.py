"""How verbs print: a table for people, JSON or CSV for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

FORMATS = ("table", "json", "csv")

_GAP = "  "
#: No column is made narrower than this to fit the terminal.
_NARROWEST = 12


def print_json(value: Any) -> None:
    """Print *value* as one JSON document."""
    json.dump(value, sys.stdout, indent=2)
    print()


def print_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print *rows* as CSV, with a head; what a row does not have stays empty."""
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print *rows* under *heads*; columns whose numbers are in *right* stand flush right.

    On a terminal, the widest columns are cut until the lines fit.
    """
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    if sys.stdout.isatty():
        import shutil  # which brings half of the standard library along

        fit(widths, shutil.get_terminal_size().columns)
    for line in lines:
        cells = [
            cut(text, width).rjust(width) if column in right else cut(text, width).ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        print(_GAP.join(cells).rstrip())


def fit(widths: list[int], width: int) -> None:
    """Make the widest of *widths* less, until they fit into *width* or none can be less."""
    available = width - len(_GAP) * (len(widths) - 1)
    while sum(widths) > available:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            return
        others = [other for column, other in enumerate(widths) if column != widest]
        least = max(_NARROWEST, min(widths[widest] - 1, max(others, default=0)))
        widths[widest] = max(least, widths[widest] - (sum(widths) - available))


def cut(text: str, width: int) -> str:
    """*text* in at most *width* characters."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
