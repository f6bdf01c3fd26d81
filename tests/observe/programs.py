"""What the tests of waits and graphs let go wrong, and right: on hocket's primitives, and on asyncio's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import hocket
from hocket.observe import Graph, graph

#: Whose primitives a test uses.
either = pytest.mark.parametrize("kit", [hocket, asyncio], ids=["hocket", "asyncio"])


def scene(planted: Callable[[], Awaitable[Any]]) -> Any:
    """Run *planted* on a loop of hocket's; what it leaves behind is cancelled.  Gives what it returns."""

    async def main() -> Any:
        try:
            async with asyncio.timeout(20):
                return await planted()
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    return hocket.run(main())


async def settle(turns: int = 20) -> None:
    """Let everybody come to where they have to wait."""
    for _ in range(turns):
        await asyncio.sleep(0)


def start(function: Callable[..., Any], *arguments: Any) -> asyncio.Task[Any]:
    """A task that bears the name of what it runs."""
    return asyncio.create_task(function(*arguments), name=function.__name__)


def names(findings: tuple[Any, ...]) -> list[set[str]]:
    """The names of the tasks of each deadlock."""
    return [{task.name for task in finding.tasks} for finding in findings]


def leaked(picture: Graph | None = None) -> set[str]:
    """The names of the tasks that are leaked."""
    return {leak.task.name for leak in (graph() if picture is None else picture).leaks}
