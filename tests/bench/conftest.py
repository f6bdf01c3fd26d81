"""Makes ``bench`` importable here and in the processes it starts, and keeps its compiled programs out of the home."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture(autouse=True, scope="session")
def native_cache(tmp_path_factory: pytest.TempPathFactory):
    """One cache for the whole session: each C program is compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOCKET_BENCH_CACHE", str(tmp_path_factory.mktemp("bench-cache")))
        yield


@pytest.fixture
def broken_loops(monkeypatch: pytest.MonkeyPatch) -> str:
    """The module with loops that misbehave, importable by the processes under test."""
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.syspath_prepend(str(HERE))
    return "broken_loops"
