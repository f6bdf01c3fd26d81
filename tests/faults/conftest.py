"""The profiles of hypothesis that these tests know; and the long tests only where they are asked for.

They take minutes, and `make test` runs what is slow on the compiled leg: ``HOCKET_FAULTS=long`` (`.ci/faults`,
``nox -s faults``) has them run.
"""

from __future__ import annotations

import os

import pytest

from . import profiles  # noqa: F401  # so that --hypothesis-profile finds them


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("HOCKET_FAULTS") == "long":
        return
    here = os.path.dirname(__file__)
    long = [item for item in items if item.path.is_relative_to(here) and item.get_closest_marker("slow")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
