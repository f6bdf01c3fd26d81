"""The same scenes on asyncio's pipe transports and on hocket's: what the protocol and the caller see, step by step."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import pty
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from .loops import OURS, run, stock

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
Scene = Callable[["Stage"], Awaitable[None]]
SCENES: dict[str, Scene] = {}
BIG = os.urandom(1 << 20)


def scene(function: Scene) -> Scene:
    SCENES[function.__name__] = function
    return function


class Actor(asyncio.Protocol):
    """Logs every call with the context that it is made in."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.react: dict[str, Callable[[], Any]] = {}

    def _note(self, what: str, *details: Any) -> Any:
        self.stage.note(what, *details, variable.get())
        return self.react.get(what, lambda: None)()

    def connection_made(self, transport: Any) -> None:
        self.stage.transport = transport
        self._note("connection_made")

    def data_received(self, data: bytes) -> None:
        self._note("data_received", type(data).__name__, len(data))

    def eof_received(self) -> Any:
        return self._note("eof_received")

    def pause_writing(self) -> None:
        self._note("pause_writing")

    def resume_writing(self) -> None:
        self._note("resume_writing")

    def connection_lost(self, exc: Exception | None) -> None:
        self._note("connection_lost", repr(exc))
        self.stage.lost.set()


class Stage:
    """One end of a pipe a transport, the other a descriptor, `far`; `log` holds what can be compared."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.log: list[Any] = []
        self.lost = asyncio.Event()
        self.transport: Any = None
        self.actor = Actor(self)
        self.pipe: Any = None
        self.far = -1
        self.loop.set_exception_handler(self._report)

    def _report(self, _: Any, context: dict[str, Any]) -> None:
        # A transport's name and a handle's place are not what is compared; asyncio names its method there.
        message = re.sub(r"(<| of | _?(Unix)?(Read|Write)Pipe).*", " ...", context["message"])
        self.note("report", message, repr(context.get("exception")), variable.get())

    def note(self, *entry: Any) -> None:
        if self.log[-1:] != [entry]:
            self.log.append(entry)

    async def _open(self, connect: Any, pipe: Any, far: int) -> None:
        self.pipe, self.far = pipe, far
        variable.set("opened")
        try:
            await connect(lambda: self.actor, pipe)
        except Exception as error:
            self.note("refused", type(error).__name__, str(error))
        variable.set("scene")

    async def open_reader(self, near: int | None = None, far: int = -1) -> None:
        if near is None:
            near, far = os.pipe()
        await self._open(self.loop.connect_read_pipe, os.fdopen(near, "rb", 0), far)

    async def open_writer(self, near: int | None = None, far: int = -1) -> None:
        if near is None:
            far, near = os.pipe()
        os.set_blocking(far, False)
        await self._open(self.loop.connect_write_pipe, os.fdopen(near, "wb", 0), far)

    def trying(self, what: Callable[[], Any]) -> None:
        try:
            self.note("returned", repr(what()))
        except Exception as error:
            self.note("raised", type(error).__name__, str(error))

    def close_far(self) -> None:
        os.close(self.far)
        self.far = -1

    async def read_all(self, count: int) -> None:
        while count > 0:
            try:
                data = os.read(self.far, 1 << 18)
            except BlockingIOError:
                await asyncio.sleep(0.001)
                continue
            if not data:
                self.note("far end of file")
                break
            count -= len(data)

    async def settle(self, seconds: float = 0.02) -> None:
        """Let everything happen that is going to."""
        await asyncio.sleep(seconds)

    def in_context(self, name: str, what: Callable[..., Any], *args: Any) -> None:
        """Call *what* with the variable set to *name*, for it alone."""

        def changed() -> Any:
            variable.set(name)
            return what(*args)

        contextvars.copy_context().run(changed)


async def play(name: str, debug: bool) -> list[Any]:
    stage = Stage()
    stage.loop.set_debug(debug)
    stage.loop.slow_callback_duration = 100.0
    try:
        await SCENES[name](stage)
        await stage.settle()
    finally:
        if stage.transport is not None and not stage.lost.is_set():
            with contextlib.suppress(AttributeError):
                getattr(stage.transport, "abort", stage.transport.close)()
            await stage.settle(0)
        elif stage.pipe is not None:
            stage.pipe.close()
        if stage.far >= 0:
            stage.close_far()
        await stage.settle(0)
    return stage.log


# -- Reading


@scene
async def reading_to_the_end(stage: Stage) -> None:
    await stage.open_reader()
    stage.note(stage.transport.get_extra_info("pipe") is stage.pipe, stage.transport.get_extra_info("socket", 5))
    os.write(stage.far, b"some data")
    await stage.settle()
    stage.close_far()
    await stage.lost.wait()
    await stage.settle()
    stage.note(stage.pipe.closed)
    for name in ("is_closing", "is_reading", "pause_reading", "resume_reading", "close", "get_protocol"):
        stage.trying(getattr(stage.transport, name))


@scene
async def closing_a_reader(stage: Stage) -> None:
    await stage.open_reader()
    os.write(stage.far, b"never read")
    stage.in_context("closer", stage.transport.close)
    stage.note(stage.transport.is_closing(), stage.transport.is_reading())
    await stage.lost.wait()


@scene
async def closing_in_data_received(stage: Stage) -> None:
    await stage.open_reader()
    stage.actor.react["data_received"] = lambda: (variable.set("reader"), stage.transport.close())
    os.write(stage.far, b"x")
    await stage.lost.wait()


@scene
async def failing_data_received(stage: Stage) -> None:
    await stage.open_reader()
    stage.actor.react["data_received"] = lambda: 1 / 0
    os.write(stage.far, b"x")
    await stage.settle()
    os.write(stage.far, b"yy")
    await stage.settle()


@scene
async def failing_ends(stage: Stage) -> None:
    await stage.open_reader()
    for name in ("eof_received", "connection_lost"):
        stage.actor.react[name] = lambda: 1 / 0
    stage.close_far()
    await stage.settle()


@scene
async def pausing_a_reader(stage: Stage) -> None:
    await stage.open_reader()
    stage.actor.react["data_received"] = lambda: variable.set(variable.get() + "+")
    os.write(stage.far, b"x")
    await stage.settle()
    stage.transport.pause_reading()
    stage.trying(stage.transport.pause_reading)
    os.write(stage.far, b"yy")
    await stage.settle()
    stage.note(stage.transport.is_reading())
    stage.in_context("resumer", stage.transport.resume_reading)
    stage.trying(stage.transport.resume_reading)
    await stage.settle()


@scene
async def pausing_in_made(stage: Stage) -> None:
    stage.actor.react["connection_made"] = lambda: stage.transport.pause_reading()
    await stage.open_reader()
    os.write(stage.far, b"x")
    await stage.settle()
    stage.in_context("resumer", stage.transport.resume_reading)
    await stage.settle()


@scene
async def a_terminal_whose_other_end_closes(stage: Stage) -> None:
    far, near = pty.openpty()
    await stage.open_reader(near, far)
    os.write(far, b"line\n")
    while len(stage.log) < 2:
        await stage.settle()  # The kernel's terminals hand on when they have time, and not after the end.
    stage.close_far()
    await stage.lost.wait()


@scene
async def reading_a_socket(stage: Stage) -> None:
    near, far = socket.socketpair()
    await stage.open_reader(near.detach(), far.detach())
    os.write(stage.far, b"x")
    await stage.settle()
    stage.close_far()
    await stage.lost.wait()


@scene
async def reading_a_directory(stage: Stage) -> None:
    stage.loop.call_soon(stage.lost.set)
    near = os.open("/", os.O_RDONLY)

    class Pipe:
        def fileno(self) -> int:
            return near

        def close(self) -> None:
            """Closed below."""

    await stage._open(stage.loop.connect_read_pipe, Pipe(), -1)
    await stage._open(stage.loop.connect_write_pipe, Pipe(), -1)
    os.close(near)


# -- Writing


@scene
async def writing_and_closing(stage: Stage) -> None:
    await stage.open_writer()
    for data in (b"bytes", bytearray(b"array"), memoryview(b"a view")[2:], b"", bytearray()):
        stage.trying(lambda data=data: stage.transport.write(data))  # type: ignore[misc]
    stage.transport.writelines([b"several ", b"pieces"])
    stage.note(os.read(stage.far, 1000), stage.transport.can_write_eof(), stage.transport.get_write_buffer_size())
    stage.in_context("closer", stage.transport.close)
    stage.note(stage.transport.is_closing())
    for _ in range(8):
        stage.trying(lambda: stage.transport.write(b"late"))
    await stage.lost.wait()
    await stage.settle()
    stage.note(stage.pipe.closed)
    for name in ("is_closing", "close", "write_eof", "get_protocol", "get_write_buffer_size"):
        stage.trying(getattr(stage.transport, name))


@scene
async def ending_a_writer(stage: Stage) -> None:
    await stage.open_writer()
    stage.in_context("ender", stage.transport.write_eof)
    stage.trying(stage.transport.write_eof)
    await stage.read_all(1)
    await stage.lost.wait()


@scene
async def writing_much(stage: Stage) -> None:
    await stage.open_writer()
    stage.in_context("writer", stage.transport.write, BIG)
    stage.in_context("second writer", stage.transport.write, b"more")
    stage.note(stage.transport.get_write_buffer_size() > 0)
    await stage.read_all(len(BIG) + 4)
    await stage.settle()
    stage.note(stage.transport.get_write_buffer_size())


@scene
async def limits(stage: Stage) -> None:
    await stage.open_writer()
    for arguments in ({}, {"high": 100}, {"low": 10}, {"high": 0}, {"high": 1, "low": 2}, {"high": -1}):
        stage.trying(lambda arguments=arguments: stage.transport.set_write_buffer_limits(**arguments))  # type: ignore[misc]
        stage.trying(stage.transport.get_write_buffer_limits)
    stage.transport.set_write_buffer_limits(high=1 << 24)
    stage.transport.write(BIG)
    stage.in_context("limiter", stage.transport.set_write_buffer_limits, 100)
    await stage.read_all(len(BIG))
    await stage.settle()


@scene
async def closing_with_a_full_buffer(stage: Stage) -> None:
    await stage.open_writer()
    stage.in_context("writer", stage.transport.write, BIG)
    stage.in_context("closer", stage.transport.close)
    await stage.read_all(len(BIG))
    await stage.lost.wait()


@scene
async def aborting_with_a_full_buffer(stage: Stage) -> None:
    await stage.open_writer()
    stage.in_context("writer", stage.transport.write, BIG)
    stage.in_context("aborter", stage.transport.abort)
    stage.note(stage.transport.get_write_buffer_size())
    await stage.lost.wait()


@scene
async def aborting_while_closing(stage: Stage) -> None:
    await stage.open_writer()
    stage.transport.write(BIG)
    stage.transport.close()
    stage.in_context("aborter", stage.transport.abort)
    await stage.lost.wait()


@scene
async def reader_gone(stage: Stage) -> None:
    await stage.open_writer()
    await stage.settle()
    stage.close_far()
    await stage.lost.wait()


@scene
async def reader_gone_with_a_full_buffer(stage: Stage) -> None:
    await stage.open_writer()
    await stage.settle()
    stage.in_context("writer", stage.transport.write, BIG)
    stage.close_far()
    await stage.lost.wait()


@scene
async def reader_gone_while_written_to(stage: Stage) -> None:
    await stage.open_writer()
    await stage.settle()
    stage.close_far()
    stage.in_context("writer", stage.transport.write, b"x")
    for _ in range(8):
        stage.trying(lambda: stage.transport.write(b"x"))
    await stage.lost.wait()


@scene
async def a_socket_that_answers(stage: Stage) -> None:
    near, far = socket.socketpair()
    await stage.open_writer(near.detach(), far.detach())
    stage.transport.write(b"x")
    await stage.settle()
    os.write(stage.far, b"an answer is taken for the end")
    await stage.lost.wait()


@scene
async def writing_to_a_device(stage: Stage) -> None:
    await stage.open_writer(os.open("/dev/null", os.O_WRONLY), os.open("/dev/null", os.O_RDONLY))
    stage.transport.write(BIG)
    stage.note(stage.transport.get_write_buffer_size())
    stage.transport.close()
    await stage.lost.wait()


@scene
async def failing_flow_control(stage: Stage) -> None:
    stage.actor.react["pause_writing"] = lambda: 1 / 0
    stage.actor.react["resume_writing"] = lambda: 1 / 0
    await stage.open_writer()
    stage.in_context("writer", stage.transport.write, BIG)
    await stage.read_all(len(BIG))
    await stage.settle()


@scene
async def failing_connection_made_and_lost(stage: Stage) -> None:
    stage.actor.react["connection_made"] = lambda: 1 / 0
    stage.actor.react["connection_lost"] = lambda: 1 / 0
    await stage.open_writer()
    stage.transport.close()
    await stage.settle()


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)
@pytest.mark.parametrize("name", SCENES)
def test_the_scene_is_the_same(name: str, factory: Any, debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Calls, their order and their context variables, what raises, what is reported and what is logged."""

    def played(on: Any) -> tuple[list[Any], list[Any]]:
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "asyncio"):
            log = run(on, play(name, debug))
        # Names and numbers differ, and the loops tell of themselves.
        said = [
            (record.levelname, re.sub(r"\d+", "N", re.sub(r"<.*>", "<...>", record.getMessage())))
            for record in caplog.records
        ]
        return log, [entry for entry in said if not entry[1].startswith(("Using selector", "Close "))]

    expected = played(stock)
    found = played(factory)
    assert found[0] == expected[0]
    assert found[1] == expected[1]
    assert expected[0]
