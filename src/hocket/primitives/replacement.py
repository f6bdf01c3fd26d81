"""`accelerate`: hocket's primitives in place of asyncio's, for a program that is not to be changed."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from hocket.primitives.barrier import Barrier
from hocket.primitives.condition import Condition
from hocket.primitives.gather import gather, shield
from hocket.primitives.locks import BoundedSemaphore, Event, Lock, Semaphore
from hocket.primitives.queues import LifoQueue, PriorityQueue, Queue
from hocket.primitives.sleep import sleep
from hocket.primitives.stream_reader import StreamReader
from hocket.primitives.stream_writer import StreamReaderProtocol, StreamWriter
from hocket.primitives.streams import open_connection, open_unix_connection, start_server, start_unix_server
from hocket.primitives.taskgroups import TaskGroup
from hocket.primitives.threads import to_thread
from hocket.primitives.timeouts import Timeout, timeout, timeout_at
from hocket.primitives.waiting import as_completed, wait, wait_for

_OURS: tuple[Any, ...] = (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    LifoQueue,
    Lock,
    PriorityQueue,
    Queue,
    Semaphore,
    StreamReader,
    StreamReaderProtocol,
    StreamWriter,
    TaskGroup,
    Timeout,
    gather,
    open_connection,
    open_unix_connection,
    shield,
    sleep,
    start_server,
    start_unix_server,
    timeout,
    timeout_at,
    to_thread,
    wait,
    # These two are replaced only where asyncio's behave in the same way already.
    *((wait_for,) if sys.version_info >= (3, 12) else ()),
    *((as_completed,) if sys.version_info >= (3, 13) else ()),
)

#: What `accelerate` has put aside, by the number that `id` gives: asyncio's own, and what stands in its place.
_replaced: dict[int, tuple[Any, Any]] = {}


def accelerate() -> None:
    """Put hocket's primitives in place of asyncio's in this process, from now on: ``asyncio.sleep`` is `hocket.sleep`.

    Every name in ``asyncio`` and its modules is led to hocket's; what a program has imported already
    (``from asyncio import Queue``) stays asyncio's, so call it first.  Harmless if called twice.  ``hocket run
    --accelerate`` does so before the program's first line::

        import hocket
        hocket.accelerate()
    """
    for ours in _OURS:
        name = ours.__name__
        original = getattr(asyncio, name)
        if original is not ours:
            _replaced[id(original)] = (original, ours)
    for module_name, module in list(sys.modules.items()):
        if module_name == "asyncio" or module_name.startswith("asyncio."):
            _replace_in(module)


def _replace_in(module: Any) -> None:
    for name, value in list(vars(module).items()):
        original, ours = _replaced.get(id(value), (None, None))
        if original is value and ours is not None:
            setattr(module, name, ours)
