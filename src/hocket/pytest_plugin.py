"""hocket's plugin for pytest: tests that must not leave tasks behind.

    @pytest.mark.no_leaks
    def test_service(): ...

``pytest --no-leaks`` asks that of every test.  See `hocket.observe.no_leaks`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

_MARKER = "no_leaks(ignore=()): the test fails if tasks that it started on hocket's loops are left over at its end"


def pytest_addoption(parser: Any) -> None:
    """The option ``--no-leaks``."""
    parser.getgroup("hocket").addoption(
        "--no-leaks", action="store_true", help="fail every test that leaves tasks behind on a hocket event loop"
    )


def pytest_configure(config: Any) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


def _run(item: Any) -> Generator[None, Any, Any]:
    marker = item.get_closest_marker("no_leaks")
    if marker is None and not item.config.getoption("--no-leaks"):
        return (yield)
    # Imported by those alone who ask for it: the plugin is loaded wherever hocket is installed.
    from hocket.observe import no_leaks

    with no_leaks(**({} if marker is None else marker.kwargs)):
        return (yield)


pytest_runtest_call = pytest.hookimpl(wrapper=True)(_run)
