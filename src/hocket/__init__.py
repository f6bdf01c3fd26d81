"""hocket: an async/await runtime for Python.  asyncio's API on a scheduler of its own.

    import hocket

    async def main():
        ...

    hocket.run(main())

`install` puts every later ``asyncio.run()`` on hocket; ``hocket run SCRIPT`` does so for a program that cannot be
changed.
"""

from __future__ import annotations

import importlib as _importlib
import os as _os

TYPE_CHECKING = False  # without importing typing, which asyncio does without from Python 3.14 on
if TYPE_CHECKING:
    from typing import Any

    from hocket import from_thread, propagate, resilience, serving
    from hocket.core.future import Future
    from hocket.core.reasons import Cancellation, why_cancelled
    from hocket.core.scope import CancelScope
    from hocket.core.task import Task
    from hocket.loop import EventLoop, EventLoopPolicy, Runner, install, new_event_loop, run
    from hocket.primitives.barrier import Barrier
    from hocket.primitives.condition import Condition
    from hocket.primitives.gather import gather, shield
    from hocket.primitives.joining import join_all, join_first, join_until
    from hocket.primitives.locks import BoundedSemaphore, Event, Lock, Semaphore
    from hocket.primitives.queues import LifoQueue, PriorityQueue, Queue, QueueEmpty, QueueFull, QueueShutDown
    from hocket.primitives.replacement import accelerate
    from hocket.primitives.sleep import sleep
    from hocket.primitives.starting import TASK_STATUS_IGNORED, TaskStatus
    from hocket.primitives.stream_reader import StreamReader
    from hocket.primitives.stream_writer import StreamReaderProtocol, StreamWriter
    from hocket.primitives.streams import open_connection, open_unix_connection, start_server, start_unix_server
    from hocket.primitives.taskgroups import TaskGroup, report_failure
    from hocket.primitives.timeouts import Timeout, timeout, timeout_at
    from hocket.primitives.waiting import as_completed, wait, wait_for
    from hocket.structured.amap import amap
    from hocket.structured.backoff import Backoff
    from hocket.structured.batching import batched
    from hocket.structured.budgets import Budget, BudgetExceeded, budget, current_budget, remaining, within
    from hocket.structured.channels import ReceiveChannel, SendChannel, open_channel
    from hocket.structured.crew import Stream
    from hocket.structured.errors import BrokenResourceError, ClosedResourceError, EndOfChannel, WouldBlock
    from hocket.structured.limiter import CapacityLimiter
    from hocket.structured.mapping import AsyncMap
    from hocket.structured.merging import merge, race
    from hocket.structured.pipeline import pipeline, stage
    from hocket.structured.scopes import (
        checkpoint,
        current_effective_deadline,
        fail_after,
        fail_at,
        move_on_after,
        move_on_at,
    )
    from hocket.structured.serve import serve
    from hocket.structured.shutdown import Ending, Service, run_until_signal, service
    from hocket.structured.supervision import RestartLimitExceeded, Supervisor
    from hocket.structured.to_thread import to_thread
    from hocket.structured.workers import WorkerPool

__version__ = "0.1.0"

__all__ = [
    "TASK_STATUS_IGNORED",
    "AsyncMap",
    "Backoff",
    "Barrier",
    "BoundedSemaphore",
    "BrokenResourceError",
    "Budget",
    "BudgetExceeded",
    "CancelScope",
    "Cancellation",
    "CapacityLimiter",
    "ClosedResourceError",
    "Condition",
    "EndOfChannel",
    "Ending",
    "Event",
    "EventLoop",
    "EventLoopPolicy",
    "Future",
    "LifoQueue",
    "Lock",
    "PriorityQueue",
    "Queue",
    "QueueEmpty",
    "QueueFull",
    "QueueShutDown",
    "ReceiveChannel",
    "RestartLimitExceeded",
    "Runner",
    "Semaphore",
    "SendChannel",
    "Service",
    "Stream",
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "Supervisor",
    "Task",
    "TaskGroup",
    "TaskStatus",
    "Timeout",
    "WorkerPool",
    "WouldBlock",
    "__version__",
    "accelerate",
    "amap",
    "as_completed",
    "batched",
    "budget",
    "checkpoint",
    "current_budget",
    "current_effective_deadline",
    "fail_after",
    "fail_at",
    "from_thread",
    "gather",
    "install",
    "is_compiled",
    "join_all",
    "join_first",
    "join_until",
    "merge",
    "move_on_after",
    "move_on_at",
    "new_event_loop",
    "open_channel",
    "open_connection",
    "open_unix_connection",
    "pipeline",
    "propagate",
    "race",
    "remaining",
    "report_failure",
    "resilience",
    "run",
    "run_until_signal",
    "serve",
    "service",
    "serving",
    "shield",
    "sleep",
    "stage",
    "start_server",
    "start_unix_server",
    "timeout",
    "timeout_at",
    "tls_engine",
    "to_thread",
    "wait",
    "wait_for",
    "why_cancelled",
    "within",
]

#: Module: what is found here of it. Imported when asked for: no program uses them all, and every process that imports
#: hocket would wait for them, also one that only prints its version.
_ON_DEMAND = {
    "core.future": "Future",
    "core.reasons": "Cancellation why_cancelled",
    "core.scope": "CancelScope",
    "core.task": "Task",
    "loop": "EventLoop EventLoopPolicy Runner install new_event_loop run",
    "primitives.barrier": "Barrier",
    "primitives.condition": "Condition",
    "primitives.gather": "gather shield",
    "primitives.locks": "BoundedSemaphore Event Lock Semaphore",
    "primitives.queues": "LifoQueue PriorityQueue Queue QueueEmpty QueueFull QueueShutDown",
    "primitives.replacement": "accelerate",
    "primitives.sleep": "sleep",
    "primitives.stream_reader": "StreamReader",
    "primitives.stream_writer": "StreamReaderProtocol StreamWriter",
    "primitives.streams": "open_connection open_unix_connection start_server start_unix_server",
    "primitives.joining": "join_all join_first join_until",
    "primitives.starting": "TASK_STATUS_IGNORED TaskStatus",
    "primitives.taskgroups": "TaskGroup report_failure",
    "primitives.timeouts": "Timeout timeout timeout_at",
    "primitives.waiting": "as_completed wait wait_for",
    "structured.amap": "amap",
    "structured.batching": "batched",
    "structured.channels": "ReceiveChannel SendChannel open_channel",
    "structured.crew": "Stream",
    "structured.errors": "BrokenResourceError ClosedResourceError EndOfChannel WouldBlock",
    "structured.limiter": "CapacityLimiter",
    "structured.backoff": "Backoff",
    "structured.budgets": "Budget BudgetExceeded budget current_budget remaining within",
    "structured.mapping": "AsyncMap",
    "structured.merging": "merge race",
    "structured.pipeline": "pipeline stage",
    "structured.serve": "serve",
    "structured.to_thread": "to_thread",
    "structured.shutdown": "Ending Service run_until_signal service",
    "structured.supervision": "RestartLimitExceeded Supervisor",
    "structured.scopes": "checkpoint current_effective_deadline fail_after fail_at move_on_after move_on_at",
    "structured.workers": "WorkerPool",
}
#: Modules that are found here without being imported.
_AS_THEY_ARE = ("from_thread", "propagate", "resilience", "serving")
_MODULES = {name: module for module, names in _ON_DEMAND.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    found: Any
    if name in _AS_THEY_ARE:
        found = _importlib.import_module(f"hocket.{name}")
    elif name in _MODULES:
        found = getattr(_importlib.import_module(f"hocket.{_MODULES[name]}"), name)
    else:
        raise AttributeError(f"module 'hocket' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_AS_THEY_ARE})


def is_compiled() -> bool:
    """True if the engine is compiled; False if the same files run as ordinary Python."""
    from hocket.core import task

    return not task.__file__.endswith(".py")


def tls_engine() -> str:
    """How the data of TLS connections is encrypted and decrypted: the library, if by it directly, or why not::

        >>> hocket.tls_engine()
        'OpenSSL 3.0.22 25 Aug 2026, directly'

    Handshakes, contexts and certificates are always the `ssl` module's.  Data goes to the same OpenSSL without `ssl` in
    between if hocket is compiled, knows how this interpreter keeps its sessions, and ``HOCKET_NO_OPENSSL`` is not set
    in the environment when the first TLS connection is made.  A single connection tells by
    ``transport.get_extra_info("tls_engine")``: ``"openssl"``, or ``"ssl"`` also where a context makes sessions of a
    class of its own, whose ``read`` and ``write`` are then called.
    """
    from hocket.native import openssl

    return openssl.describe()


if any(_os.environ.get(f"HOCKET_{word}") for word in ("OBSERVE", "RECORDER", "BLOCKED_AFTER")):
    _importlib.import_module("hocket.observe.environment").obey()
