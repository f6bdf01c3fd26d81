"""From a thread back into the loop: for functions that `hocket.to_thread.run_sync` calls.

Inside of such a call the thread knows its host, the task that waits for it: its loop, its scopes and its deadline,
which `hocket.remaining` tells.

    def download(url, path):
        with open(path, "wb") as file:
            for block in blocks(url, timeout=hocket.remaining()):
                hocket.from_thread.check_cancelled()
                file.write(block)
                hocket.from_thread.run_sync(progress.update, len(block))

    await hocket.to_thread.run_sync(download, url, path)

Threads that somebody else has started have no host; they go through a portal (`start_blocking_portal`,
`BlockingPortal`).  Names and semantics are those of `anyio.from_thread` and `trio.from_thread`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple, cast

from hocket.structured.hosts import Host
from hocket.structured.portal import BlockingPortal, BlockingPortalProvider, start_blocking_portal
from hocket.structured.worker_threads import job_here

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

__all__ = [
    "BlockingPortal",
    "BlockingPortalProvider",
    "check_cancelled",
    "run",
    "run_sync",
    "start_blocking_portal",
]


def run(func: Callable[[*Ts], Awaitable[T]], /, *args: *Ts) -> T:
    """Have the loop run ``await func(*args)`` and give the result; the thread waits for it.

    It runs in a task of its own inside of the host's scopes, with the thread's context variables: what cancels the host
    cancels it.  Raises what it raises; `asyncio.CancelledError`, without running anything, if the host is cancelled
    already; `RuntimeError` if this thread has no host, if a loop runs in it, or if the host's loop is closed.
    """
    return cast(T, _host("run").run(func, args))


def run_sync(func: Callable[[*Ts], T], /, *args: *Ts) -> T:
    """Have the loop call ``func(*args)`` and give the result; the thread waits for it.

    A function that is no coroutine cannot be cancelled, so this works although the host is.  Raises what the function
    raises, and `RuntimeError` as `run` does.
    """
    return cast(T, _host("run_sync").run_sync(func, args))


def check_cancelled() -> None:
    """Raise `asyncio.CancelledError` if the host is cancelled: by a scope, by its deadline, or by `Task.cancel`.

    To be let through: it ends the call, and the host goes on being cancelled.  Raises `RuntimeError` if this thread has
    no host.
    """
    _job_host("check_cancelled").check()


def _job_host(what: str) -> Host:
    job = job_here()
    if job is None:
        raise RuntimeError(
            f"from_thread.{what}() works inside of functions that hocket.to_thread.run_sync() calls, and thread "
            f"{threading.current_thread().name!r} is in none; other threads use a portal: "
            "hocket.from_thread.start_blocking_portal()"
        )
    return cast(Host, job.host)


def _host(what: str) -> Host:
    host = _job_host(what)
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return host
    raise RuntimeError(f"from_thread.{what}() would block {running!r}, which runs in this thread: await instead")
