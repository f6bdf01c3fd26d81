"""A pytest plugin for another project's test suite: puts a loop under it, and writes down what happened.

Loaded with ``-p hocket_peer_plugin`` by `tests.peers`, in the project's own environment, so it imports nothing of the
other modules here.  ``HOCKET_PEER_LOOP`` is ``hocket`` or ``asyncio``; ``HOCKET_PEER_REPORT`` names the file that gets
the outcome of every test and the classes of all loops that were made; loggers in ``HOCKET_PEER_SILENCED`` are silent.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import logging
import os
import sys
import types
from asyncio import unix_events
from collections import Counter
from typing import Any

LOOP = os.environ["HOCKET_PEER_LOOP"]
if LOOP == "hocket":
    # Before asyncio's class is replaced, from which hocket's derives: `import hocket` alone does not load it.
    import hocket.loop
    from hocket.drivers.selector import SelectorDriver

loops: Counter[str] = Counter()
outcomes: dict[str, str] = {}
excluded: list[str] = []


def _new_event_loop() -> Any:
    if LOOP == "hocket":
        return hocket.new_event_loop()
    return unix_events._UnixSelectorEventLoop()


def _count_loops() -> None:
    """Every loop of any class passes through the initialiser of asyncio's base class; uvloop's does not."""
    original = asyncio.BaseEventLoop.__init__

    def counting(self: Any, *arguments: Any, **options: Any) -> None:
        kind = type(self)
        loops[f"{kind.__module__}.{kind.__qualname__}"] += 1
        original(self, *arguments, **options)

    asyncio.BaseEventLoop.__init__ = counting  # type: ignore[method-assign]


def _stand_in_for_uvloop() -> types.ModuleType:
    """What programs that can use uvloop import of it."""
    module = types.ModuleType("uvloop")
    module.__version__ = "0"  # type: ignore[attr-defined]
    module.new_event_loop = _new_event_loop  # type: ignore[attr-defined]
    module.loop = types.SimpleNamespace(Loop=asyncio.BaseEventLoop)  # type: ignore[attr-defined]
    module.Loop = type("Loop", (), {"__new__": lambda cls: _new_event_loop()})  # type: ignore[attr-defined]
    base: Any = asyncio.DefaultEventLoopPolicy if sys.version_info < (3, 14) else asyncio.events._DefaultEventLoopPolicy  # type: ignore[attr-defined]
    policy = type("EventLoopPolicy", (base,), {"_loop_factory": staticmethod(_new_event_loop)})
    module.EventLoopPolicy = policy  # type: ignore[attr-defined]

    def run(main: Any, *, debug: bool | None = None, **_: Any) -> Any:
        with asyncio.Runner(loop_factory=_new_event_loop, debug=debug) as runner:
            return runner.run(main)

    module.run = run  # type: ignore[attr-defined]
    module.install = lambda: asyncio.set_event_loop_policy(policy())  # type: ignore[attr-defined]
    return module


class _IsAnySelectorEventLoop(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, unix_events._UnixSelectorEventLoop)


class _SelectorEventLoop(unix_events._UnixSelectorEventLoop, metaclass=_IsAnySelectorEventLoop):  # type: ignore[misc]
    """Stands where asyncio's class stood: calling it makes the loop under test."""

    def __new__(cls, selector: Any = None) -> Any:
        if selector is None:
            return _new_event_loop()
        return hocket.new_event_loop(driver=SelectorDriver(selector))


def _put_under() -> None:
    if os.environ.get("HOCKET_PEER_UVLOOP") == "real":
        # uvloop's own suite: its helpers stay, its loop goes; and what it expects of asyncio's is expected.
        import uvloop
        from uvloop import _testbase

        uvloop.new_event_loop = _new_event_loop
        uvloop.EventLoopPolicy = asyncio.DefaultEventLoopPolicy
        _testbase.BaseTestCase.is_asyncio_loop = lambda self: True
    else:
        sys.modules["uvloop"] = _stand_in_for_uvloop()
    if LOOP == "hocket":
        default: Any = getattr(unix_events, "_DefaultEventLoopPolicy", None) or unix_events.DefaultEventLoopPolicy
        default._loop_factory = _SelectorEventLoop
        for module in (asyncio, unix_events):
            module.SelectorEventLoop = _SelectorEventLoop  # type: ignore[attr-defined]
            if hasattr(module, "EventLoop"):
                module.EventLoop = _SelectorEventLoop


_count_loops()
_put_under()
for _name in os.environ.get("HOCKET_PEER_SILENCED", "").split():
    logging.getLogger(_name).setLevel(logging.CRITICAL)


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave out what `tests.peers` says, and write down which."""
    patterns = [pattern.replace("[", "[[]") for pattern in json.loads(os.environ.get("HOCKET_PEER_EXCLUDED", "[]"))]
    kept = []
    for item in items:
        if any(fnmatch.fnmatchcase(item.nodeid, pattern) for pattern in patterns):
            excluded.append(item.nodeid)
        else:
            kept.append(item)
    if excluded:
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def pytest_runtest_logreport(report: Any) -> None:
    """The outcome of a test is the worst of its set-up, call and tear-down."""
    if report.outcome == "passed" and report.when != "call":
        outcomes.setdefault(report.nodeid, "passed")
        return
    outcome = "xfailed" if hasattr(report, "wasxfail") and report.outcome == "skipped" else report.outcome
    if outcomes.get(report.nodeid) != "failed":
        outcomes[report.nodeid] = outcome


def pytest_collectreport(report: Any) -> None:
    """A module that cannot be imported is a failure too."""
    if report.failed:
        outcomes[report.nodeid] = "failed"


def pytest_unconfigure(config: Any) -> None:
    """A worker of pytest-xdist writes its own loops; the outcomes reach the one that started it."""
    path = os.environ["HOCKET_PEER_REPORT"]
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        path = f"{path}.{worker}"
    with open(path, "w") as file:
        json.dump({"outcomes": {} if worker else outcomes, "loops": loops, "excluded": excluded}, file)
