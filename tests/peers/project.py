"""What has to be known of a project to run its tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Project:
    """A project on the package registry whose source distribution carries its tests."""

    name: str
    version: str
    #: What its tests need besides the project itself.
    requirements: tuple[str, ...]
    #: For pytest, which is started in the unpacked source distribution.
    arguments: tuple[str, ...]
    #: Patterns of test ids that are left out, with the reason: tests of the project's own internals, or of the world.
    excluded: Mapping[str, str] = field(default_factory=dict)
    #: Environment variables.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: A folder of the source distribution that would be imported instead of the project as it is installed.
    hidden: str | None = None
    #: How many processes run the tests: they mostly wait.
    processes: int = 4
