"""The loops that the unit tests run on: hocket's with each driver, and asyncio's own as the reference."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import hocket
from hocket import drivers


def hocket_epoll() -> asyncio.AbstractEventLoop:
    return hocket.new_event_loop(driver="epoll")


def hocket_selector() -> asyncio.AbstractEventLoop:
    return hocket.new_event_loop(driver="selector")


def stock() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop()


OURS: list[Callable[[], asyncio.AbstractEventLoop]] = (
    [hocket_epoll, hocket_selector] if "epoll" in drivers.available() else [hocket_selector]
)
EVERY = [*OURS, stock]


def run(factory: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, Any], seconds: float = 20.0) -> Any:
    """Run *main* on a new loop of *factory*; fail instead of hanging."""

    async def bounded() -> Any:
        return await asyncio.wait_for(main, seconds)

    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(bounded())


class Reports:
    """The calls of a loop's exception handler."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.contexts: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.contexts.append(context))

    @property
    def messages(self) -> list[str]:
        gc.collect()
        return [context["message"] for context in self.contexts]
