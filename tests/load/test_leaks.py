"""Nothing is left of connections, tasks and timers that are over: no memory, no descriptor, no object."""

from __future__ import annotations

import pytest

from .processes import line, start

WORK = [
    ("connections", 10_000, "auto"),
    ("connections", 10_000, "selector"),
    ("tasks", 1_000_000, "auto"),
    ("timers", 1_000_000, "auto"),
    ("timeouts", 1_000_000, "auto"),
]

# A leak of one small object a piece would be 50 MB and a million objects; 10,000 connections, some 100 MB.
MEMORY = 4 * 2**20
OBJECTS = 100


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count", "driver"), WORK)
def test_everything_is_given_back(kind: str, count: int, driver: str) -> None:
    """After the work, memory, descriptors and live objects are where they were before it."""
    with start("leaks.py", kind, str(count), driver=driver) as process:
        result = line(process)
        assert process.wait(30) == 0
    before, after = result["before"], result["after"]
    assert after["descriptors"] == before["descriptors"]
    assert after["objects"] - before["objects"] < OBJECTS
    assert after["memory"] - before["memory"] < MEMORY
