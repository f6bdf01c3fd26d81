"""Scenes that are played on asyncio's transports and on hocket's: what the protocol and the caller see, step by step.

A scene is a coroutine that plays with a transport, a peer and a log. It is run on asyncio's own loop and on one of
hocket's, and the logs have to be equal: on every Python with that Python's asyncio.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest

from .loops import OURS, run, stock

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

on_both_loops = [
    pytest.mark.parametrize("debug", [False, True], ids=["", "debug"]),
    pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__),
]


class Scenes(dict[str, Callable[[Any], Awaitable[None]]]):
    """The scenes of a module, by name: a decorator that collects them."""

    def __call__(self, function: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        self[function.__name__] = function
        return function


class Notes:
    """Half of a protocol: logs every call with the context that it is made in."""

    def __init__(self, stage: Any) -> None:
        self.stage = stage
        self.react: dict[str, Callable[[], Any]] = {}

    def _note(self, what: str, *details: Any) -> Any:
        self.stage.note(what, *details, variable.get())
        return self.react.get(what, lambda: None)()

    def connection_made(self, transport: Any) -> None:
        self.stage.transport = transport
        self._note("connection_made")

    def eof_received(self) -> Any:
        return self._note("eof_received")

    def pause_writing(self) -> None:
        self._note("pause_writing")

    def resume_writing(self) -> None:
        self._note("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        self._note("connection_lost", repr(exc))
        self.stage.lost.set()


class BaseStage:
    """`log` holds what can be compared."""

    #: From here on a report names a transport or the place of a handle, which is not compared.
    unlike: ClassVar[re.Pattern[str]]
    #: How many pieces a stream comes in is the kernel's affair.
    merges_repeats: ClassVar[bool] = True

    def __init__(self, actor: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.log: list[Any] = []
        self.lost = asyncio.Event()
        self.transport: Any = None
        self.actor = actor
        self.loop.set_exception_handler(self._report)

    def _report(self, _: Any, context: dict[str, Any]) -> None:
        message = self.unlike.sub(" ...", context["message"])
        self.note("report", message, repr(context.get("exception")), variable.get())

    def note(self, *entry: Any) -> None:
        if not self.merges_repeats or self.log[-1:] != [entry]:
            self.log.append(entry)

    def words(self, error: Exception) -> str:
        """What of an error's text is compared."""
        return str(error)

    def trying(self, what: Callable[[], Any]) -> None:
        try:
            self.note("returned", repr(what()))
        except Exception as error:
            self.note("raised", type(error).__name__, self.words(error))

    async def settle(self, seconds: float = 0.02) -> None:
        """Let everything happen that is going to."""
        await asyncio.sleep(seconds)
        if seconds:
            # On a busy machine time may be over before its turns have begun.
            for _ in range(10):
                await asyncio.sleep(0)

    def in_context(self, name: str, what: Callable[..., Any], *args: Any) -> None:
        """Call *what* with the variable set to *name*, for it alone."""

        def changed() -> Any:
            variable.set(name)
            return what(*args)

        contextvars.copy_context().run(changed)

    async def end(self) -> None:
        """Close what is open."""
        raise NotImplementedError


async def play(make: Callable[[], Any], scene: Callable[[Any], Awaitable[None]], debug: bool) -> list[Any]:
    stage = make()
    stage.loop.set_debug(debug)
    stage.loop.slow_callback_duration = 100.0
    try:
        await scene(stage)
        await stage.settle()
    finally:
        await stage.end()
        await stage.settle(0)
    return list(stage.log)


def compare(
    make: Callable[[], Any],
    scene: Callable[[Any], Awaitable[None]],
    factory: Any,
    debug: bool,
    caplog: pytest.LogCaptureFixture,
    unlike: str = r"<.*>",
) -> None:
    """Calls, their order and their context variables, what raises, what is reported and what is logged are the same.

    *unlike* is what differs in log messages.
    """

    def played(on: Any) -> tuple[list[Any], list[Any]]:
        caplog.clear()
        gc.disable()  # What earlier tests have left may have something to say when it is collected.
        try:
            with caplog.at_level(logging.DEBUG, "asyncio"):
                log = run(on, play(make, scene, debug))
        finally:
            gc.enable()
        said = [
            (record.levelname, re.sub(unlike, "...", record.getMessage()))
            for record in caplog.records
            if record.name == "asyncio"
        ]
        # The loops tell of themselves.
        return log, [entry for entry in said if not entry[1].startswith(("Using selector", "Close "))]

    expected = played(stock)
    found = played(factory)
    assert found[0] == expected[0]
    assert found[1] == expected[1]
    assert expected[0]
