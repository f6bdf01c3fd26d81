"""Loops as fixtures: ``loop`` is hocket's with each driver, ``any_loop`` also asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings

from .loops import EVERY, OURS

# How long an example takes says something of the machine that day, and nothing of hocket.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(params=OURS, ids=lambda factory: factory.__name__)
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    made = request.param()
    yield made
    made.close()


@pytest.fixture(params=EVERY, ids=lambda factory: factory.__name__)
def any_loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    made = request.param()
    yield made
    made.close()
