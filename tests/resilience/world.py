"""A loop in virtual time that a test steps by itself, for state machines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.virtual import VirtualDriver, new_loop


class World:
    """One loop; whatever is called through it is called in a task of that loop."""

    def __init__(self) -> None:
        self.driver = VirtualDriver()
        self.loop = new_loop(self.driver)
        self.reports: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.reports.append(context))

    def now(self) -> float:
        return self.driver.time()

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(main)

    def do(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call *function* in a task."""

        async def call() -> Any:
            return function(*args)

        return self.run(call())

    def spawn(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Start a task, and let it run as far as it can without time passing."""
        task = self.loop.create_task(main)
        self.settle()
        return task

    def settle(self) -> None:
        """Let everything run that is ready."""

        async def turns() -> None:
            for _ in range(8):
                await asyncio.sleep(0)

        self.run(turns())

    def pass_time(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))
        self.settle()

    def close(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.run(asyncio.wait(tasks)) if tasks else None
        self.loop.close()
        assert not self.reports, self.reports
