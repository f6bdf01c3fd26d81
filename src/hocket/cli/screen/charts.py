"""Charts out of characters."""

from __future__ import annotations

from collections.abc import Sequence

from hocket.cli.screen.rates import Counts
from hocket.observe.words import duration

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_BAR = " ▏▎▍▌▋▊▉█"


def spark(values: Sequence[float], width: int, height: int, top: float = 0.0) -> str:
    """The last *width* of *values* as columns in *height* lines, which *top* fills, or the greatest if that is more."""
    shown = list(values)[-width:] if width > 0 else []
    greatest = max([top, *shown])
    scale = 8 * height / greatest if greatest > 0 else 0.0
    # Whatever is not nothing is seen.
    levels = [max(round(value * scale), 1 if value > 0 else 0) for value in shown]
    lines = [
        "".join(_EIGHTHS[min(max(level - 8 * line, 0), 8)] for level in levels).rjust(width)
        for line in reversed(range(height))
    ]
    return "\n".join(lines)


def bars(counts: Counts, width: int) -> list[str]:
    """A histogram of lengths of time, a line for each doubling; *width* is that of the longest bar."""
    doubled: dict[int, int] = {}
    for (low, _), count in counts.items():
        power = _power(low)
        doubled[power] = doubled.get(power, 0) + count
    if not doubled:
        return ["(nothing yet)"]
    greatest = max(doubled.values())
    lines = []
    for power in range(min(doubled), max(doubled) + 1):
        count = doubled.get(power, 0)
        eighths = max(round(8 * width * count / greatest), 1 if count else 0)
        bar = "█" * (eighths // 8) + _BAR[eighths % 8]
        lines.append(f"{duration(2.0**power * 1e-9):>9} {bar.rstrip():{width}} {count:,}")
    return lines


def _power(seconds: float) -> int:
    """Which power of two nanoseconds these *seconds* begin with."""
    return max(round(seconds * 1e9), 1).bit_length() - 1
