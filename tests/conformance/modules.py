"""Which modules of `test.test_asyncio` exist, and what a run of each has to show.

Every module of the interpreter must be listed: one that a new Python brings and nobody looked at is an error, so that
it cannot be left out by accident.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "test.test_asyncio"


@dataclass(frozen=True)
class Module:
    """One module of CPython's tests.

    `without_hocket` is empty when a run must have used hocket's loop or tasks; else it says why the module cannot
    (the module still runs: what it tests must keep working beside hocket).
    """

    name: str
    without_hocket: str = ""
    # Seconds one test may take before it counts as hanging; the slowest of them takes 10 on an idle machine.
    test_timeout: float = 60.0
    package: str = PACKAGE

    @property
    def dotted(self) -> str:
        return f"{self.package}.{self.name}"


MODULES = (
    Module("test_base_events"),
    Module("test_buffered_proto"),
    Module("test_context"),
    Module("test_eager_task_factory"),
    Module("test_events"),
    Module("test_free_threading"),
    Module("test_futures"),
    Module("test_futures2"),
    Module("test_graph"),
    Module("test_locks"),
    Module("test_pep492"),
    Module("test_proactor_events", without_hocket="tests the Windows proactor on mocks"),
    Module("test_protocols", without_hocket="tests the protocol base classes, no loop involved"),
    Module("test_queues"),
    Module("test_runners"),
    Module("test_selector_events", without_hocket="tests BaseSelectorEventLoop's internals on a mocked selector"),
    Module("test_sendfile"),
    Module("test_server"),
    Module("test_sock_lowlevel"),
    Module("test_ssl"),
    Module("test_sslproto"),
    Module("test_staggered"),
    Module("test_streams"),
    Module("test_subprocess"),
    Module("test_taskgroups"),
    Module("test_tasks"),
    Module("test_threads"),
    Module("test_timeouts"),
    Module("test_tools", without_hocket="tests the `python -m asyncio ps` formatter on recorded data"),
    Module("test_transports", without_hocket="tests the transport base classes, no loop involved"),
    Module("test_unix_events"),
    Module("test_waitfor"),
    Module("test_windows_events", without_hocket="Windows only"),
    Module("test_windows_utils", without_hocket="Windows only"),
)

_PRIMITIVES = (
    "test_free_threading",
    "test_graph",
    "test_locks",
    "test_pep492",
    "test_queues",
    "test_runners",
    "test_server",
    "test_staggered",
    "test_streams",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_waitfor",
)

BY_NAME = {module.name: module for module in MODULES}


def in_interpreter() -> list[str]:
    """Names of the test modules that this interpreter brings; empty when its `test` package is not installed."""
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except ModuleNotFoundError:
        return []
    folders = spec.submodule_search_locations if spec is not None else None
    return sorted(path.stem for folder in folders or () for path in Path(folder).glob("test_*.py"))


def present() -> list[Module]:
    """The listed modules that this interpreter has, in the order of the list."""
    names = set(in_interpreter())
    return [module for module in MODULES if module.name in names]


def unlisted() -> list[str]:
    """Modules that this interpreter has and the list does not."""
    return [name for name in in_interpreter() if name not in BY_NAME]


def accelerated() -> list[Module]:
    """Those that meet the primitives, which `--accelerated` puts in the place of asyncio's."""
    return [module for module in present() if module.name in _PRIMITIVES]
