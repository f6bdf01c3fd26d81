"""What becomes of tests whose servers or packages are not installed: skipped, unless they are meant to be there."""

from __future__ import annotations

import glob
import importlib
import importlib.metadata
import os
import shutil
from typing import Any, NoReturn

import pytest

#: With ``HOCKET_REQUIRE_SERVERS=1`` what is missing is a failure; elsewhere its tests are skipped.
REQUIRED = os.environ.get("HOCKET_REQUIRE_SERVERS") == "1"

#: Program: the name that people know, and the package of Debian and its kin.
PROGRAMS = {
    "postgres": ("PostgreSQL", "postgresql"),
    "initdb": ("PostgreSQL", "postgresql"),
    "redis-server": ("Redis", "redis-server"),
    "nginx": ("nginx", "nginx-light"),
    "curl": ("curl", "curl"),
    "openssl": ("openssl", "openssl"),
}
#: Where Debian keeps programs that are not for everybody's PATH, the newest version last.
ELSEWHERE = ["/usr/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))]


def program(name: str) -> str:
    """The path of the program *name*; without it the test is skipped, or fails."""
    for directories in (os.pathsep.join(reversed(ELSEWHERE)), None):
        if found := shutil.which(name, path=directories):
            return found
    people_say, package = PROGRAMS[name]
    absent(f"{people_say} is not installed: apt install {package}")


def package(name: str, of: str | None = None) -> Any:
    """The module *name* of the package *of* that name; without it the tests of the file are skipped, or fail."""
    try:
        importlib.metadata.version(of or name)
    except importlib.metadata.PackageNotFoundError:
        absent(f"{of or name} is not installed: pip install --group servers")
    return importlib.import_module(name)


def absent(advice: str) -> NoReturn:
    if REQUIRED:
        pytest.fail(advice)
    pytest.skip(advice, allow_module_level=True)
