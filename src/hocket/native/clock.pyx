"""Compiled twin of ``clock.py``: see there."""

from time import get_clock_info

RESOLUTION = get_clock_info("monotonic").resolution


def python_monotonic():
    return monotonic()
