"""The doors through which CPython's tests get a loop, each of them led to hocket, and a count of who went through.

A green run proves nothing if the tests quietly ran on asyncio's loop, so every hocket loop, and every task and future
that a generated test class makes, is counted (`USAGE`).
"""

import asyncio
import selectors
import weakref
from asyncio import events, unix_events
from dataclasses import dataclass
from typing import Any

import hocket
from hocket.core.scheduler import Scheduler, on_close, on_create
from hocket.drivers.selector import SelectorDriver
from hocket.net.tls import Tls


@dataclass
class Usage:
    """What of hocket has been used in this process since the start."""

    loops: int = 0
    tasks: int = 0
    futures: int = 0

    def copy(self) -> "Usage":
        return Usage(self.loops, self.tasks, self.futures)

    def since(self, earlier: "Usage") -> "Usage":
        return Usage(self.loops - earlier.loops, self.tasks - earlier.tasks, self.futures - earlier.futures)

    def __bool__(self) -> bool:
        return bool(self.loops or self.tasks or self.futures)


USAGE = Usage()


def new_loop(selector: selectors.BaseSelector | None = None) -> Any:
    """A hocket loop; over the given selector where a test names the way of waiting."""
    return hocket.new_event_loop(driver=None if selector is None else SelectorDriver(selector))


def _count_created(loop: Scheduler) -> None:
    USAGE.loops += 1


def _count_closed(loop: Scheduler) -> None:
    USAGE.tasks += loop.tasks_started


class _IsAnySelectorEventLoop(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, unix_events._UnixSelectorEventLoop)


class SelectorEventLoop(unix_events._UnixSelectorEventLoop, metaclass=_IsAnySelectorEventLoop):  # type: ignore[misc]
    """Stands where `asyncio.SelectorEventLoop` stood: calling it makes a hocket loop."""

    def __new__(cls, selector: selectors.BaseSelector | None = None) -> Any:
        return new_loop(selector)


def _with_test_hook(make: Any) -> Any:
    """asyncio's TLS transport has a method for CPython's own tests, which fill its backlog by hand through it."""

    def make_and_equip(*args: Any, **kwargs: Any) -> Any:
        transport = make(*args, **kwargs)
        reference = weakref.ref(transport)
        transport._test__append_write_backlog = lambda data: reference()._append(data)  # type: ignore[union-attr]
        return transport

    return make_and_equip


def open_all() -> None:
    """Lead every way to make a loop to hocket, for the rest of this process.

    The policy serves `asyncio.new_event_loop`, `asyncio.run`, `asyncio.Runner` and `IsolatedAsyncioTestCase`. The
    default policy class is changed instead of installing one of ours, because the tests reset the policy to None.
    """
    default_policy = getattr(unix_events, "_DefaultEventLoopPolicy", None) or unix_events.DefaultEventLoopPolicy
    default_policy._loop_factory = SelectorEventLoop
    for module in (asyncio, unix_events):
        module.SelectorEventLoop = SelectorEventLoop
        if hasattr(module, "EventLoop"):
            module.EventLoop = SelectorEventLoop
    Tls._make_ssl_transport = _with_test_hook(Tls._make_ssl_transport)  # type: ignore[method-assign]
    # Proof that the door leads where it should, before a single test runs.
    loop = events.new_event_loop()
    try:
        if not isinstance(loop, hocket.EventLoop):
            raise RuntimeError(f"asyncio.new_event_loop() gave {loop!r}, not a hocket loop")
    finally:
        loop.close()
    on_create.append(_count_created)
    on_close.append(_count_closed)
