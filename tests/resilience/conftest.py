"""What the tests of policies share: after each test policies wait again, and nobody listens."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import settings

from hocket.resilience import events, replace_randomness, set_waiting

# How long an example takes says something of the machine that day, and nothing of hocket.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Every test begins with policies that wait, with the same random numbers, and with nobody listening."""
    before = replace_randomness(random.Random(0))
    yield
    set_waiting(True)
    replace_randomness(before)
    assert not events.everywhere, "a test has left a listener behind"
