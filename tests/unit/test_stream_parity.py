"""The same scenes on asyncio's stream transport and on hocket's: what the protocol and the caller see, step by step.

A scene is a coroutine that plays with a transport, a peer and a log. It is run on asyncio's own loop and on each of
hocket's, and the logs have to be equal: on every Python with that Python's asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import struct
from typing import Any

import pytest

from .scenes import BaseStage, Notes, Scenes, compare, on_both_loops, variable

scene = Scenes()
pytestmark = on_both_loops

BIG = os.urandom(6 << 20)


class Actor(Notes, asyncio.Protocol):
    """Logs every call with the context that it is made in, and which of the caller's variables it may change."""

    def data_received(self, data: bytes) -> None:
        self.stage.received += data
        self._note("data_received", type(data).__name__)


class Stage(BaseStage):
    """One end a transport, the other a socket; `log` holds what can be compared."""

    unlike = re.compile(r"<.*")

    def __init__(self) -> None:
        super().__init__(Actor(self))
        self.received = bytearray()
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.peer.setblocking(False)
        self.ours = ours

    async def open(self) -> None:
        variable.set("opened")
        await self.loop.create_connection(lambda: self.actor, sock=self.ours)
        variable.set("scene")

    def words(self, error: Exception) -> str:
        # Before Python 3.12 writelines() was a join and a write().
        return str(error).replace("writelines()", "write()")

    def state(self) -> None:
        it = self.transport
        self.note("state", it.is_closing(), it.is_reading(), it.get_write_buffer_size() > 0, it.can_write_eof())

    async def read_all(self, count: int) -> None:
        while count > 0:
            data = await self.loop.sock_recv(self.peer, 1 << 18)
            if not data:
                break
            count -= len(data)

    async def end(self) -> None:
        if self.transport is not None:
            with contextlib.suppress(AttributeError):
                self.transport.abort()
        else:
            self.ours.close()
        self.peer.close()


# -- Scenes


@scene
async def talk_and_close(stage: Stage) -> None:
    await stage.open()
    stage.state()
    stage.peer.send(b"hello")
    await stage.settle()
    stage.in_context("closer", stage.transport.close)
    stage.state()
    stage.trying(stage.transport.close)
    await stage.settle()
    stage.trying(lambda: stage.transport.is_closing())
    stage.trying(lambda: stage.transport.write(b"late"))
    stage.trying(lambda: stage.transport.pause_reading())
    stage.trying(lambda: stage.transport.resume_reading())
    stage.trying(lambda: stage.transport.write_eof())
    stage.trying(lambda: stage.transport.get_protocol())
    stage.trying(lambda: stage.transport.get_extra_info("peername"))
    stage.trying(lambda: stage.transport.get_extra_info("socket").fileno())


@scene
async def variables_of_readers(stage: Stage) -> None:
    """What data_received() sets, the next call sees; resuming brings the variables of whoever resumes."""
    await stage.open()
    stage.actor.react["data_received"] = lambda: variable.set(variable.get() + "+")
    for _ in range(3):
        stage.peer.send(b"x")
        await stage.settle()
    stage.transport.pause_reading()
    stage.in_context("resumer", stage.transport.resume_reading)
    stage.peer.send(b"y")
    await stage.settle()
    stage.peer.send(b"z")
    await stage.settle()
    stage.peer.close()
    await stage.lost.wait()


@scene
async def variables_of_made(stage: Stage) -> None:
    stage.actor.react["connection_made"] = lambda: variable.set("set in made")
    await stage.open()
    stage.peer.send(b"x")
    await stage.settle()


@scene
async def pausing_in_made(stage: Stage) -> None:
    def made() -> None:
        variable.set("made")
        stage.transport.pause_reading()
        stage.state()

    stage.actor.react["connection_made"] = made
    await stage.open()
    stage.peer.send(b"x")
    await stage.settle()
    stage.in_context("resumer", stage.transport.resume_reading)
    await stage.settle()


@scene
async def pausing_and_resuming_in_made(stage: Stage) -> None:
    def made() -> None:
        stage.transport.pause_reading()
        variable.set("resumed in made")
        stage.transport.resume_reading()

    stage.actor.react["connection_made"] = made
    await stage.open()
    stage.peer.send(b"x")
    await stage.settle()
    stage.state()


@scene
async def variables_of_writers(stage: Stage) -> None:
    await stage.open()
    stage.in_context("writer", stage.transport.write, BIG)
    stage.state()
    stage.in_context("second writer", stage.transport.write, b"more")
    await stage.read_all(len(BIG) + 4)
    await stage.settle()
    stage.state()


@scene
async def closing_with_a_full_buffer(stage: Stage) -> None:
    await stage.open()
    stage.in_context("writer", stage.transport.write, BIG)
    stage.in_context("closer", stage.transport.close)
    stage.state()
    await stage.read_all(len(BIG))
    await stage.lost.wait()


@scene
async def aborting_with_a_full_buffer(stage: Stage) -> None:
    await stage.open()
    stage.in_context("writer", stage.transport.write, BIG)
    stage.in_context("aborter", stage.transport.abort)
    stage.state()
    await stage.lost.wait()
    stage.trying(stage.transport.get_write_buffer_size)


@scene
async def aborting_while_closing(stage: Stage) -> None:
    await stage.open()
    stage.transport.write(BIG)
    stage.transport.close()
    stage.in_context("aborter", stage.transport.abort)
    await stage.lost.wait()


@scene
async def half_closed_by_us(stage: Stage) -> None:
    await stage.open()
    stage.transport.write(b"last")
    stage.transport.write_eof()
    stage.trying(stage.transport.write_eof)
    stage.trying(lambda: stage.transport.write(b"x"))
    stage.trying(lambda: stage.transport.writelines([b"x"]))
    stage.state()
    await stage.read_all(5)
    stage.peer.send(b"still heard")
    await stage.settle()
    stage.peer.close()
    await stage.lost.wait()


@scene
async def half_closed_by_us_behind_a_full_buffer(stage: Stage) -> None:
    await stage.open()
    stage.transport.write(BIG)
    stage.transport.write_eof()
    stage.state()
    await stage.read_all(len(BIG) + 1)
    stage.peer.close()
    await stage.lost.wait()


@scene
async def half_closed_by_the_peer(stage: Stage) -> None:
    stage.actor.react["eof_received"] = lambda: True
    await stage.open()
    stage.peer.shutdown(socket.SHUT_WR)
    await stage.settle()
    stage.state()
    stage.transport.write(b"still said")
    await stage.read_all(10)
    stage.in_context("closer", stage.transport.close)
    await stage.lost.wait()


@scene
async def ended_by_the_peer(stage: Stage) -> None:
    await stage.open()
    stage.peer.send(b"x")
    stage.peer.close()
    await stage.lost.wait()


@scene
async def peer_gone_while_written_to(stage: Stage) -> None:
    await stage.open()
    stage.transport.pause_reading()
    stage.peer.close()
    stage.in_context("writer", stage.transport.write, b"x")
    await stage.lost.wait()
    for _ in range(3):
        stage.trying(lambda: stage.transport.write(b"x"))


@scene
async def peer_gone_with_a_full_buffer(stage: Stage) -> None:
    await stage.open()
    stage.transport.pause_reading()
    stage.in_context("writer", stage.transport.write, BIG)
    stage.peer.close()
    await stage.lost.wait()


@scene
async def wrong_data(stage: Stage) -> None:
    await stage.open()
    stage.trying(lambda: stage.transport.write(None))
    stage.trying(lambda: stage.transport.write(b""))
    stage.trying(lambda: stage.transport.writelines([]))
    stage.state()


@scene
async def limits(stage: Stage) -> None:
    await stage.open()
    for arguments in ({}, {"high": 100}, {"low": 10}, {"high": 0}, {"high": 1, "low": 2}, {"high": -1}, {"low": -1}):
        stage.trying(lambda arguments=arguments: stage.transport.set_write_buffer_limits(**arguments))  # type: ignore[misc]
        stage.trying(stage.transport.get_write_buffer_limits)
    stage.transport.set_write_buffer_limits(high=1 << 24)
    stage.transport.write(BIG)
    stage.in_context("limiter", stage.transport.set_write_buffer_limits, 100)
    await stage.read_all(len(BIG))
    await stage.settle()


@scene
async def failing_connection_made(stage: Stage) -> None:
    stage.actor.react["connection_made"] = lambda: 1 / 0
    await stage.open()
    stage.peer.send(b"heard all the same")
    await stage.settle()


@scene
async def failing_data_received(stage: Stage) -> None:
    stage.actor.react["data_received"] = lambda: (variable.set("set by reader"), 1 / 0)
    await stage.open()
    stage.peer.send(b"x")
    await stage.lost.wait()


@scene
async def failing_eof_received(stage: Stage) -> None:
    stage.actor.react["eof_received"] = lambda: 1 / 0
    await stage.open()
    stage.peer.close()
    await stage.lost.wait()


@scene
async def failing_flow_control(stage: Stage) -> None:
    stage.actor.react["pause_writing"] = lambda: 1 / 0
    stage.actor.react["resume_writing"] = lambda: 1 / 0
    await stage.open()
    stage.in_context("writer", stage.transport.write, BIG)
    await stage.read_all(len(BIG))
    await stage.settle()


@scene
async def closing_in_data_received(stage: Stage) -> None:
    def close() -> None:
        variable.set("reader")
        stage.transport.write(b"bye")
        stage.transport.close()
        stage.state()

    stage.actor.react["data_received"] = close
    await stage.open()
    stage.peer.send(b"x")
    await stage.lost.wait()
    await stage.read_all(3)


@scene
async def another_protocol(stage: Stage) -> None:
    class Buffered(asyncio.BufferedProtocol):
        memory = bytearray(4)

        def get_buffer(self, sizehint: int) -> bytearray:
            stage.note("get_buffer", sizehint, variable.get())
            return self.memory

        def buffer_updated(self, nbytes: int) -> None:
            stage.note("buffer_updated", nbytes, bytes(self.memory[:nbytes]), variable.get())

        def eof_received(self) -> None:
            stage.note("buffered eof", variable.get())

        def connection_lost(self, exc: Exception | None) -> None:
            stage.note("buffered lost", exc, variable.get())
            stage.lost.set()

    await stage.open()
    stage.peer.send(b"plain")
    await stage.settle()
    other = Buffered()
    stage.transport.set_protocol(other)
    stage.note(stage.transport.get_protocol() is other)
    stage.peer.send(b"buffered")
    await stage.settle()
    stage.transport.set_protocol(stage.actor)
    stage.peer.send(b"plain again")
    await stage.settle()
    stage.transport.set_protocol(other)
    stage.peer.close()
    await stage.lost.wait()


@scene
async def reset_while_read_from(stage: Stage) -> None:
    stage.ours.close()
    stage.peer.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stage.ours = socket.create_connection(listener.getsockname())
        stage.peer, _ = listener.accept()
    stage.ours.setblocking(False)
    await stage.open()
    stage.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stage.peer.close()
    await stage.lost.wait()


@pytest.mark.parametrize("name", scene)
def test_the_scene_is_the_same(name: str, factory: Any, debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Calls, their order and their context variables, what raises, what is reported and what is logged."""
    compare(Stage, scene[name], factory, debug, caplog)
