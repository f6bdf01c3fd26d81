"""A directory for the programs of a test, and the packages that its file names in ``PACKAGES``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .packages import require
from .workplace import ToolWorkplace


@pytest.fixture(autouse=True)
def packages_are_installed(request: pytest.FixtureRequest) -> None:
    require(request.module.PACKAGES)


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[ToolWorkplace]:
    made = ToolWorkplace(tmp_path)
    yield made
    made.close()
