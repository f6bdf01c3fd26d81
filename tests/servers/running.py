"""Runs a test's coroutine on hocket, and holds what happened behind its back against it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import hocket

T = TypeVar("T")

#: Seconds; no test takes a fifth of it.
PATIENCE = 60.0
#: Seconds that connections which are closing have when a test is over; what is open then is complained of.
GOODBYE = 10.0


def run(main: Callable[[], Coroutine[Any, Any, T]], *, complaints: list[dict[str, Any]] | None = None) -> T:
    """Run *main* by ``hocket.Runner``, for `PATIENCE` at most.

    What the loop's exception handler is told fails the test, unless the test asks for it by *complaints*.
    """
    heard: list[dict[str, Any]] = [] if complaints is None else complaints

    async def listening() -> T:
        loop = asyncio.get_running_loop()
        assert type(loop).__module__ == "hocket.loop"
        loop.set_exception_handler(lambda _, context: heard.append(context))
        result = await asyncio.wait_for(main(), PATIENCE)
        # Two sides of a TLS connection say goodbye to each other after its transport has been closed.
        deadline = loop.time() + GOODBYE
        while len(loop._transports) and loop.time() < deadline:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        return result

    with hocket.Runner() as runner:
        result = runner.run(listening())
    gc.collect()  # what was left open is warned of here, and not in a later test
    assert complaints is not None or heard == [], "the loop's exception handler was called"
    return result
