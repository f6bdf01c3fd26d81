"""Facts in words, for reports and tables."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a length of time in the unit in which its digits can be read: ``1.50 s``, ``20.4 ms``, ``3.1 µs``."""
    if seconds >= 1:
        return f"{seconds:,.2f} s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e6:.1f} µs"
