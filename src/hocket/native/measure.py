"""Measuring what happens a million times a second: a clock that costs a few nanoseconds, and histograms.

`ticks` counts in a unit of its own; `ticks_per_second` says which.  Compiled, and on a processor whose time-stamp
counter runs evenly, it is that counter: a third of the cost of the system's clock.  It says how long something took, on
this machine, and decides nothing: what waits, waits by the driver's clock.

A `Histogram` has four buckets for each power of two, so a value read from it is off by less than a fifth.
"""

from __future__ import annotations

import time

#: How many buckets a `Histogram` has.
BUCKETS = 256


def ticks() -> int:
    """How many ticks have passed since some moment."""
    return time.perf_counter_ns()


def now_in_ticks() -> int:
    """What `ticks` says, for callers that are not compiled."""
    return ticks()


def ticks_per_second() -> float:
    """How many ticks a second has, as far as this process can tell."""
    return 1e9


def bucket_of(value: int) -> int:
    """The bucket of a `Histogram` in which *value* is counted."""
    if value < 4:
        return value
    highest = value.bit_length() - 1
    return (highest - 1) * 4 + (value >> (highest - 2) & 3)


def lower_bound(bucket: int) -> int:
    """The least value that is counted in *bucket*, from 0 to ``BUCKETS - 1``."""
    if bucket < 4:
        return bucket
    return (4 + (bucket & 3)) << (bucket // 4 - 1)


class Histogram:
    """How often which values came: whole numbers, not negative."""

    __slots__ = ("_counts", "greatest", "sum")

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self.sum = 0
        self.greatest = 0

    def add(self, value: int) -> None:
        """Count *value*."""
        self._counts[bucket_of(value)] += 1
        self.sum += value
        self.greatest = max(self.greatest, value)

    def counts(self) -> list[int]:
        """How many values each bucket has."""
        return list(self._counts)
