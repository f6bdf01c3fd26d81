"""Several loops in several threads: each knows its own task."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import hocket


def holder(lock: hocket.Lock) -> str | None:
    found = lock.statistics().holder
    return None if found is None else found.name


def test_a_task_is_known_while_and_after_another_thread_has_a_loop() -> None:
    """Who acquires a lock is its holder, whichever loop began last."""
    running, go = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        running.set()
        while not go.is_set():
            await asyncio.sleep(0.001)

    async def main() -> list[Any]:
        task = asyncio.current_task()
        assert task is not None
        task.set_name("here")
        names = []
        thread = threading.Thread(target=lambda: hocket.run(elsewhere()))
        thread.start()
        running.wait()
        for step in (go.set, thread.join, int):
            lock = hocket.Lock()
            async with lock:
                names.append(holder(lock))
            step()
        return names

    assert hocket.run(main()) == ["here"] * 3


def test_a_task_of_another_class_is_none_of_ours() -> None:
    """On asyncio's own loop a lock has no holder of ours."""

    async def main() -> str | None:
        lock = hocket.Lock()
        async with lock:
            return holder(lock)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(main()) is None
