"""Two lists, and what moves between them."""

from __future__ import annotations

from typing import Any


def exchange(one: list[Any], here: int, other: list[Any], there: int) -> None:
    """Have ``one[here]`` and ``other[there]`` change places.  Neither index may be negative, or too great.

    Compiled, the two objects are not even looked at: of many that have lain for a while that would cost the most.
    """
    one[here], other[there] = other[there], one[here]
