"""The checks of the Makefile for every Python at hand: ``nox -l`` lists them, ``nox -s compiled-3.13`` runs one.

`make` needs nothing installed and covers one interpreter; this is for whoever has several.
"""

from __future__ import annotations

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
GROUPS = nox.project.load_toml("pyproject.toml")

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["compiled", "pure", "lint", "types"]

#: Tests of a session of their own, which need packages of their own.
ELSEWHERE = ["--ignore=tests/tools", "--ignore=tests/servers"]


def group(session: nox.Session, *names: str) -> None:
    """Install dependency groups of pyproject.toml."""
    for name in names:
        session.install(*nox.project.dependency_groups(GROUPS, name))


def install(session: nox.Session, leg: str, *groups: str) -> None:
    """Install hocket as the leg says, by copy, beside the groups that the session needs."""
    if leg == "compiled":
        group(session, "build", *groups)
        session.env["HOCKET_REQUIRE_EXTENSIONS"] = "1"
    else:
        group(session, "pure-build", *groups)
        session.env["HOCKET_NO_EXTENSIONS"] = "1"
    session.env["HOCKET_TEST_LEG"] = leg
    session.install("--no-build-isolation", "--no-deps", "--force-reinstall", ".")


@nox.session(python=PYTHONS)
def compiled(session: nox.Session) -> None:
    """The tests with the engine compiled."""
    install(session, "compiled", "test")
    session.run("python", "-m", "pytest", *ELSEWHERE, *session.posargs)


@nox.session(python=PYTHONS)
def pure(session: nox.Session) -> None:
    """The tests with the engine as plain Python."""
    install(session, "pure", "test")
    session.run("python", "-m", "pytest", *ELSEWHERE, *session.posargs)


@nox.session(python=PYTHONS)
def conformance(session: nox.Session) -> None:
    """CPython's own asyncio tests on hocket's loop."""
    install(session, "compiled", "test")
    session.run("python", "-m", "tests.conformance", *session.posargs)


@nox.session(python=PYTHONS)
def tools(session: nox.Session) -> None:
    """Tools that people use with asyncio, on hocket; ``nox -s tools -- -k uvicorn`` runs one file of them."""
    install(session, "compiled", "tools")
    session.run("python", "-m", "pytest", "tests/tools", *session.posargs, env={"HOCKET_REQUIRE_TOOLS": "1"})


@nox.session(python=PYTHONS)
def faults(session: nox.Session) -> None:
    """Everything that harms a connection, at length; ``-- --hypothesis-profile=thorough`` tries new cases."""
    install(session, "compiled", "test")
    session.run("python", "-m", "pytest", "tests/faults", *session.posargs, env={"HOCKET_FAULTS": "long"})


@nox.session
def sanitize(session: nox.Session) -> None:
    """The compiled engine under AddressSanitizer and UndefinedBehaviorSanitizer, or valgrind."""
    group(session, "build", "test")
    session.run(".ci/sanitize", session.bin + "/python", session.create_tmp(), external=True)


@nox.session
def soak(session: nox.Session) -> None:
    """Twenty minutes of mixed traffic, after which nothing has been kept; ``-- --minutes 2`` is shorter."""
    install(session, "compiled", "test")
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session(python=PYTHONS)
def servers(session: nox.Session) -> None:
    """PostgreSQL, Redis, nginx, curl, openssl and others as peers of hocket; they are not installed by this."""
    install(session, "compiled", "servers")
    session.run("python", "-m", "pytest", "tests/servers", *session.posargs)


@nox.session(python=PYTHONS)
def peers(session: nox.Session) -> None:
    """The test suites of uvloop, anyio, uvicorn, tornado and aiohttp on hocket; ``-- anyio`` runs one of them."""
    session.run("python", "-m", "tests.peers", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and layers."""
    group(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "src"})


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on the package."""
    group(session, "lint")
    session.run("mypy", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation; a warning is an error."""
    install(session, "pure", "docs")
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-E", "-b", "html", "docs", "docs/_build/html")


@nox.session
def bench(session: nox.Session) -> None:
    """Loops side by side; ``nox -s bench -- --help`` shows the options."""
    install(session, "compiled", "bench")
    session.run("python", "-m", "bench", *session.posargs)


@nox.session(python=PYTHONS)
def performance(session: nox.Session) -> None:
    """Measure for docs/performance.md, twenty minutes on a machine that does nothing else, and write it."""
    install(session, "compiled", "bench")
    session.run("make", "performance", "BENCH_PYTHON=python", external=True)
