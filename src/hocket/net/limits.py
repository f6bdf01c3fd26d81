"""The marks between which a transport's buffer is to be kept."""

from __future__ import annotations


def watermarks(high: int | None, low: int | None, default_high: int) -> tuple[int, int]:
    """The high and the low mark, in bytes: the one that is not given follows from the other, one to four.

    Raises `ValueError` unless high >= low >= 0.
    """
    if high is None:
        high = default_high if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
    return high, low
