"""Runs examples as users do: ``python -m hocket run examples/…``, each in a process of its own, once a session."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.examples.documented import EXAMPLES

LIMIT = 60  # seconds that one example may take; they take well under two

# HOCKET_EXAMPLES_ON=python runs the same examples on stock asyncio, to tell whose fault a failure is.
COMMAND = (
    (sys.executable,) if os.environ.get("HOCKET_EXAMPLES_ON") == "python" else (sys.executable, "-m", "hocket", "run")
)


def environment(**variables: str) -> dict[str, str]:
    """The test's environment with ``variables``, and without what would change how an example runs or prints."""
    ignored = (
        "PYTHONASYNCIODEBUG",
        "PYTHONWARNINGS",
        "PYTHONDEVMODE",
        "PYTHONUNBUFFERED",
        "COLUMNS",
        "NO_COLOR",
        "TERM",
    )
    kept = {name: value for name, value in os.environ.items() if name not in ignored}
    return {**kept, "PYTHONIOENCODING": "utf-8", **variables}


def run(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, str(EXAMPLES / name), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        env=environment(**variables),
    )


class Result:
    """What an example did: exit code, text, and the numbers in it."""

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def number(self, before: str, after: str = "") -> float:
        """The number that stands between two texts; the test fails with the whole output if there is none."""
        found = re.search(rf"{re.escape(before)}(\d+(?:\.\d+)?){re.escape(after)}", self.out)
        assert found is not None, f"no number after {before!r} in:\n{self.out}{self.err}"
        return float(found.group(1))


@pytest.fixture(scope="session")
def example(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Result]]:
    """What an example did without arguments; it runs once for all tests that look at it.

    Examples mostly wait, so those that the selected tests will ask for run ahead, two at a time.
    """
    ahead: dict[str, Future[Result]] = {}
    with ThreadPoolExecutor(2) as pool:

        def result(name: str) -> Result:
            if name not in ahead:
                ahead[name] = pool.submit(lambda: Result(run(name)))
            return ahead[name].result()

        for item in request.session.items:
            if isinstance(item, pytest.Function) and "example" in item.fixturenames and hasattr(item, "callspec"):
                name = item.callspec.params["name"]
                if name not in ahead:
                    ahead[name] = pool.submit(lambda name=name: Result(run(name)))
        try:
            yield result
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def run_example() -> Callable[..., Result]:
    """Run an example with arguments, anew each time."""
    return lambda name, *arguments, **variables: Result(run(name, *arguments, **variables))
