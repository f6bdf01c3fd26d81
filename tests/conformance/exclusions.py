"""Tests that hocket cannot pass because they look inside asyncio: one entry a test, each with its reason.

Only a test of asyncio's private parts belongs here (an attribute or hook with an underscore that is not part of any
documented interface, or a mock of one). A test of documented behaviour that fails is a bug of hocket's.

Excluded tests run all the same: an entry whose test passes, or does not exist, is reported and fails the run.
"""

from dataclasses import dataclass

ALL = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True)
class Exclusion:
    """`test` is `module.Class.method`, without the `test.test_asyncio.` in front."""

    test: str
    reason: str
    versions: tuple[str, ...] = ALL
    # A test that takes the whole process down is not run at all.
    never_run: bool = False


EXCLUSIONS: tuple[Exclusion, ...] = ()


def for_module(module: str, version: str) -> dict[str, Exclusion]:
    """Exclusions of one module on one Python version, by full test id."""
    return {
        f"test.test_asyncio.{entry.test}": entry
        for entry in EXCLUSIONS
        if entry.test.partition(".")[0] == module and version in entry.versions
    }
