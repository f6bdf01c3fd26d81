"""What each test here finds: a process in which nobody looks on yet, and examples that may take their time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from hocket.observe import watchdog

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def no_watchdog_of_others() -> Iterator[None]:
    """An exporter of metrics starts the one watchdog of the process, which stays: it would tell the next test, too."""
    yield
    dog = watchdog.started()
    if dog is not None:
        dog.stop()
