"""The same scenes on asyncio's pipe transports and on hocket's: what the protocol and the caller see, step by step."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import socket
from typing import Any

import pytest

from .scenes import BaseStage, Notes, Scenes, compare, on_both_loops, variable

scene = Scenes()
pytestmark = on_both_loops
BIG = os.urandom(1 << 20)


class Actor(Notes, asyncio.Protocol):
    """Logs every call with the context that it is made in."""

    def data_received(self, data: bytes) -> None:
        self._note("data_received", type(data).__name__, len(data))


class Stage(BaseStage):
    """One end of a pipe a transport, the other a descriptor, `far`; `log` holds what can be compared."""

    # asyncio names its method in some messages.
    unlike = re.compile(r"(<| of | _?(Unix)?(Read|Write)Pipe).*")

    def __init__(self) -> None:
        super().__init__(Actor(self))
        self.pipe: Any = None
        self.far = -1

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

    async def end(self) -> None:
        if self.transport is not None and not self.lost.is_set():
            with contextlib.suppress(AttributeError):
                getattr(self.transport, "abort", self.transport.close)()
            await self.settle(0)
        elif self.pipe is not None:
            self.pipe.close()
        if self.far >= 0:
            self.close_far()


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


@pytest.mark.parametrize("name", scene)
def test_the_scene_is_the_same(name: str, factory: Any, debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Calls, their order and their context variables, what raises, what is reported and what is logged."""
    compare(Stage, scene[name], factory, debug, caplog, unlike=r"<.*>|\d+")
