"""What becomes of tests whose packages are not installed: skipped, unless the tools are meant to be there."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Iterable
from typing import Any

import pytest

#: Where the tools are meant to be installed, one that is missing is a failure; elsewhere its tests are skipped.
REQUIRED = os.environ.get("HOCKET_REQUIRE_TOOLS") == "1"


def require(packages: Iterable[str]) -> None:
    """Skip or fail, saying what to install, unless all of *packages* (names as in pyproject.toml) are installed."""
    absent = [package for package in packages if version(package) is None]
    if absent:
        advice = f"needs {', '.join(absent)}: pip install --group tools"
        if REQUIRED:
            pytest.fail(advice)
        pytest.skip(advice, allow_module_level=True)


def version(package: str) -> str | None:
    """The version that is installed, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def imported(name: str) -> Any:
    """The module *name*, of the package of that name, for tests that use it in this process."""
    require([name])
    return importlib.import_module(name)
