"""How one sees, from outside, what a task waits for in asyncio's own code: a part of `hocket.core.asyncio_private`.

asyncio's locks, queues and groups keep no note of who waits for them that leads from the task to them.  But a task that
waits stands in their coroutines: the function says what kind of wait it is, and its local variables hold the primitive.
That costs the program nothing.  ``tests/observe/test_asyncio_waits.py`` checks each of them on the Python at hand.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Iterable
from types import FrameType
from typing import Any

#: Module and qualified name of a function in which a task stands while it waits: kind, and the local variable to look
#: at; what is looked for is that, or one of its attributes.
_FUNCTIONS = {
    "asyncio.locks": {
        "Lock.acquire": ("lock", "self"),
        "Event.wait": ("event", "self"),
        "Semaphore.acquire": ("semaphore", "self"),
        "Condition.wait": ("condition", "self"),
        "Barrier._block": ("barrier", "self"),
        "Barrier._wait": ("barrier", "self"),
    },
    "asyncio.queues": {
        "Queue.get": ("queue", "self"),
        "Queue.put": ("queue", "self"),
        "Queue.join": ("queue", "self"),
    },
    "asyncio.taskgroups": {
        "TaskGroup.__aexit__": ("group", "self._tasks"),
        "TaskGroup._aexit": ("group", "self._tasks"),
    },
    "asyncio.tasks": {
        "_wait": ("wait", "fs"),
        "_cancel_and_wait": ("one", "fut"),
        "wait_for": ("one", "fut"),  # up to Python 3.11
        "as_completed.<locals>._wait_for_one": ("first", "todo"),  # up to Python 3.12
        "_AsCompletedIterator._wait_for_one": ("first", "self._todo"),
    },
    "asyncio.streams": {
        "StreamReader.read": ("reader", "self"),
        "StreamReader.readline": ("reader", "self"),
        "StreamReader.readexactly": ("reader", "self"),
        "StreamReader.readuntil": ("reader", "self"),
        "StreamReader._wait_for_data": ("reader", "self"),
        "StreamWriter.drain": ("writer", "self"),
        "FlowControlMixin._drain_helper": ("writer", "self"),
    },
    "asyncio.base_subprocess": {"BaseSubprocessTransport._wait": ("process", "self")},
    # Those of hocket's primitives that are coroutines, and its loop's, are found in the same way.
    "hocket.primitives.barrier": {"Barrier._block": ("barrier", "self"), "Barrier._wait": ("barrier", "self")},
    "hocket.primitives.waiting": {
        "_wait": ("wait", "futures"),
        "_cancel_and_wait": ("one", "future"),
        "_AsCompleted._next": ("first", "self._todo"),
    },
    "hocket.net.processes": {"ChildTransport._wait": ("process", "self")},
    "hocket.net.resolve": {"Resolver.getaddrinfo": ("lookup", "host"), "Resolver.getnameinfo": ("lookup", "sockaddr")},
    "anyio._backends._asyncio": {"TaskGroup.__aexit__": ("group", "self._tasks")},
}

#: asyncio's own, whatever stands under its name by now.
LOCKS: tuple[type, ...] = (asyncio.Lock,)
SEMAPHORES: tuple[type, ...] = (asyncio.Semaphore,)
CONDITIONS: tuple[type, ...] = (asyncio.Condition,)

#: Where such a function may be: nothing else of a frame needs to be looked at.
_NAMES = frozenset(name for functions in _FUNCTIONS.values() for name in functions)


def kind_of(frame: FrameType) -> tuple[str, str] | None:
    """What kind of wait it is if a task waits in *frame*, and which of its variables tells for what; None: unknown."""
    name = frame.f_code.co_qualname
    if name not in _NAMES:
        return None
    return _FUNCTIONS.get(frame.f_globals.get("__name__", ""), {}).get(name)


def is_sleep(frame: FrameType) -> bool:
    """Whether *frame* is that of an `asyncio.sleep`, whose variable ``h`` is its timer."""
    return frame.f_code.co_qualname == "sleep" and frame.f_globals.get("__name__") == "asyncio.tasks"


def value_of(variable: str, names: dict[str, Any]) -> Any:
    """What *variable*, as `kind_of` gives it, stands for among the local variables *names*; None if it is not there."""
    name, _, attribute = variable.partition(".")
    value = names.get(name)
    return getattr(value, attribute, None) if attribute else value


def executor_future(callbacks: Iterable[tuple[Any, Any]] | None) -> concurrent.futures.Future[Any] | None:
    """What a future that `asyncio.wrap_future` made stands for, by its callbacks; None if it is not of that kind."""
    source = _captured(callbacks, "_chain_future.<locals>._call_check_cancel", "source")
    return source if isinstance(source, concurrent.futures.Future) else None


def shielded(callbacks: Iterable[tuple[Any, Any]] | None) -> Any:
    """The future behind the one that `asyncio.shield` made, by its callbacks; None if it is not of that kind."""
    return _captured(callbacks, "shield.<locals>._outer_done_callback", "inner")


def is_main(callbacks: Iterable[tuple[Any, Any]] | None) -> bool:
    """Whether a task with these callbacks is the one that `run_until_complete` waits for."""
    return any(getattr(callback, "__qualname__", "") == "_run_until_complete_cb" for callback, _ in callbacks or ())


def _captured(callbacks: Iterable[tuple[Any, Any]] | None, function: str, name: str) -> Any:
    for callback, _ in callbacks or ():
        if getattr(callback, "__qualname__", "") == function:
            cells = dict(zip(callback.__code__.co_freevars, callback.__closure__ or (), strict=True))
            return cells[name].cell_contents if name in cells else None
    return None


#: The method of a pool's thread in which a call is made, and what it is called for.
_WORKER = ("concurrent.futures.thread", "_WorkItem.run")


def call_in(frame: FrameType) -> Any:
    """The future of the call that a thread of a `concurrent.futures.ThreadPoolExecutor` makes, if *frame* is where it
    begins; None if it is another."""
    if frame.f_code.co_qualname != _WORKER[1] or frame.f_globals.get("__name__") != _WORKER[0]:
        return None
    return getattr(frame.f_locals.get("self"), "future", None)
