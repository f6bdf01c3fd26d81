"""The same scenes on asyncio's datagram transport and on hocket's: what the protocol and the caller see, step by step.

The logs of a scene have to be equal: on every Python with that Python's asyncio. (How many datagrams arrive in one turn
differs; see `test_datagram`.)
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from .scenes import BaseStage, Notes, Scenes, compare, on_both_loops, variable

scene = Scenes()
pytestmark = on_both_loops
FILLING = 300


class Actor(Notes, asyncio.DatagramProtocol):
    """Logs every call with the context that it is made in."""

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._note("datagram_received", type(data).__name__, data, self.stage.named(addr))

    def error_received(self, exc: Exception) -> None:
        self._note("error_received", repr(exc))


class Stage(BaseStage):
    """One end a transport, the other a UDP socket; `log` holds what can be compared."""

    # asyncio names its method in some messages.
    unlike = re.compile(r"(<| of | (_Selector)?(Datagram)?Transport).*")
    merges_repeats = False

    def __init__(self) -> None:
        super().__init__(Actor(self))
        self.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.peer.bind(("127.0.0.1", 0))
        self.peer.setblocking(False)
        self.closing: list[Any] = [self.peer]

    def named(self, address: Any) -> Any:
        """Port numbers are new each time."""
        return "peer" if address == self.peer.getsockname() else address

    async def open(self, **how: Any) -> None:
        variable.set("opened")
        await self.loop.create_datagram_endpoint(lambda: self.actor, **(how or {"local_addr": ("127.0.0.1", 0)}))
        variable.set("scene")

    async def open_connected(self) -> None:
        await self.open(remote_addr=self.peer.getsockname())

    async def open_full(self) -> None:
        """A Unix endpoint whose peer does not read, with so much sent that some is buffered."""
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.peer.close()
        self.peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.closing.append(self.peer)
        self.peer.bind("")  # some abstract name
        self.peer.setblocking(False)
        ours.connect(self.peer.getsockname())
        await self.open(sock=ours)
        for number in range(FILLING):
            self.in_context(f"writer {number % 2}", self.transport.sendto, b"%05d" % number)
        assert self.transport.get_write_buffer_size() > 0

    def port(self) -> Any:
        return self.transport.get_extra_info("sockname")

    async def receive(self) -> bytes:
        return (await self.loop.sock_recvfrom(self.peer, 1 << 18))[0]

    def words(self, error: Exception) -> str:
        return re.sub(r"\d+", "N", str(error))

    def state(self) -> None:
        it = self.transport
        self.note("state", it.is_closing(), it.is_reading(), bool(self.buffered()))

    def buffered(self) -> int | None:
        """The size of the write buffer; unknown with Python 3.13.0, which counts a header in and never out."""
        return self.transport.get_write_buffer_size() if sys.version_info[:3] != (3, 13, 0) else None

    async def end(self) -> None:
        if self.transport is not None:
            with contextlib.suppress(AttributeError):
                self.transport.abort()
        for it in self.closing:
            it.close()


# -- Scenes


@scene
async def talk_and_close(stage: Stage) -> None:
    await stage.open()
    stage.state()
    stage.peer.sendto(b"hello", stage.port())
    await stage.settle()
    stage.transport.sendto(b"hello back", stage.peer.getsockname())
    stage.transport.sendto(bytearray(b"array"), stage.peer.getsockname())
    stage.transport.sendto(memoryview(b"a view")[2:], stage.peer.getsockname())
    for _ in range(3):
        stage.note(await stage.receive())
    stage.in_context("closer", stage.transport.close)
    stage.state()
    stage.trying(stage.transport.close)
    await stage.lost.wait()
    await stage.settle()
    stage.trying(stage.transport.is_closing)
    stage.trying(stage.transport.is_reading)
    stage.trying(stage.transport.pause_reading)
    stage.trying(stage.transport.resume_reading)
    stage.trying(stage.transport.get_protocol)
    stage.trying(lambda: stage.transport.get_extra_info("peername"))
    stage.trying(lambda: stage.transport.get_extra_info("socket").fileno())
    stage.trying(lambda: stage.transport.get_extra_info("nothing", 5))


@scene
async def sending_between_close_and_the_end(stage: Stage) -> None:
    await stage.open()
    stage.transport.close()
    stage.transport.sendto(b"still sent", stage.peer.getsockname())
    stage.note(await stage.receive())


@scene
async def connected(stage: Stage) -> None:
    await stage.open_connected()
    stage.note(stage.transport.get_extra_info("peername") == stage.peer.getsockname())
    stage.transport.sendto(b"without address")
    stage.transport.sendto(b"with address", stage.peer.getsockname())
    stage.transport.sendto(b"by position", None)
    for _ in range(3):
        stage.note(await stage.receive())
    stage.trying(lambda: stage.transport.sendto(b"to another", ("127.0.0.1", 9)))
    stage.peer.sendto(b"x", stage.port())
    await stage.settle()


@scene
async def sending_after_the_end_of_a_connected_one(stage: Stage) -> None:
    await stage.open_connected()
    stage.transport.close()
    for _ in range(8):
        stage.trying(lambda: stage.transport.sendto(b"late"))
    await stage.lost.wait()
    stage.trying(lambda: stage.transport.sendto(b"later"))


@scene
async def nobody_listens(stage: Stage) -> None:
    stage.peer.close()
    stage.peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stage.closing.append(stage.peer)
    stage.peer.bind(("127.0.0.1", 0))
    await stage.open_connected()
    stage.peer.close()
    stage.peer = stage.transport.get_extra_info("socket")
    stage.transport.sendto(b"refused")
    await stage.settle()
    stage.state()


@scene
async def refused_on_sending(stage: Stage) -> None:
    await stage.open_connected()
    stage.peer.close()
    stage.transport.pause_reading()
    stage.transport.sendto(b"refused")
    await stage.settle()
    stage.in_context("sender", stage.transport.sendto, b"hears of it")
    stage.state()


@scene
async def too_long(stage: Stage) -> None:
    await stage.open()
    stage.trying(lambda: stage.transport.sendto(b"x" * 70000, stage.peer.getsockname()))
    stage.state()


@scene
async def an_error_received_that_fails(stage: Stage) -> None:
    stage.actor.react["error_received"] = lambda: 1 / 0
    await stage.open()
    stage.trying(lambda: stage.transport.sendto(b"x" * 70000, stage.peer.getsockname()))
    stage.state()


@scene
async def wrong_data(stage: Stage) -> None:
    await stage.open()
    for data in (None, "text", 5, [b"x"]):
        stage.trying(lambda data=data: stage.transport.sendto(data, stage.peer.getsockname()))  # type: ignore[misc]
    stage.state()


@scene
async def no_data(stage: Stage) -> None:
    await stage.open()
    for data in (b"", bytearray(), memoryview(b"")):
        stage.trying(lambda data=data: stage.transport.sendto(data, stage.peer.getsockname()))  # type: ignore[misc]
    stage.transport.sendto(b"last", stage.peer.getsockname())
    while stage.log[-1] != (b"last",):
        stage.note(await stage.receive())
    stage.peer.sendto(b"", stage.port())
    await stage.settle()


def wrong_address(address: Any) -> Callable[[Stage], Awaitable[None]]:
    async def to_it(stage: Stage) -> None:
        await stage.open()
        stage.trying(lambda: stage.transport.sendto(b"x", address))
        stage.state()
        await stage.settle()

    return to_it


for number, address in enumerate(
    [
        None, (), "text", ("127.0.0.1",), ("127.0.0.1", "9"), ("127.0.0.1", -1), ("127.0.0.1", 65536),
        (b"127.0.0.1", 9.0), ("127.0.0.1", 9, 0), ["127.0.0.1", 9], ("127.0.0.1", 1 << 80), (5, 9),
        ("127.0.0.1\0", 9), ("::1", 9), ("", 9),
        ("\udcff", 9), ("127.1", 9), ("127.0.0.1", True),
    ]
):  # fmt: skip
    scene[f"wrong_address_{number}"] = wrong_address(address)


@scene
async def a_name_for_an_address(stage: Stage) -> None:
    await stage.open()
    stage.transport.sendto(b"by name", ("localhost", stage.peer.getsockname()[1]))
    stage.note(await stage.receive())


@scene
async def variables_of_receivers(stage: Stage) -> None:
    """What datagram_received() sets, the next call sees; resuming brings the variables of whoever resumes."""
    await stage.open()
    stage.actor.react["datagram_received"] = lambda: variable.set(variable.get() + "+")
    for _ in range(3):
        stage.peer.sendto(b"x", stage.port())
        await stage.settle()
    stage.transport.pause_reading()
    stage.state()
    stage.in_context("resumer", stage.transport.resume_reading)
    stage.peer.sendto(b"y", stage.port())
    await stage.settle()
    stage.peer.sendto(b"z", stage.port())
    await stage.settle()


@scene
async def pausing_in_made(stage: Stage) -> None:
    def made() -> None:
        variable.set("made")
        stage.transport.pause_reading()
        stage.state()

    stage.actor.react["connection_made"] = made
    await stage.open()
    stage.peer.sendto(b"x", stage.port())
    await stage.settle()
    stage.in_context("resumer", stage.transport.resume_reading)
    await stage.settle()


@scene
async def closing_in_made(stage: Stage) -> None:
    stage.actor.react["connection_made"] = lambda: stage.transport.close()
    await stage.open()
    await stage.lost.wait()


@scene
async def pausing_in_the_middle(stage: Stage) -> None:
    """Nothing is lost, and the order holds."""
    await stage.open()
    stage.actor.react["datagram_received"] = lambda: stage.transport.pause_reading()
    for number in range(5):
        stage.peer.sendto(b"%d" % number, stage.port())
    for number in range(6):
        await stage.settle()
        stage.in_context(f"resumer {number}", stage.transport.resume_reading)
    await stage.settle()


@scene
async def pausing_and_resuming_in_the_middle(stage: Stage) -> None:
    def again() -> None:
        stage.transport.pause_reading()
        stage.transport.resume_reading()

    await stage.open()
    stage.actor.react["datagram_received"] = again
    for number in range(5):
        stage.peer.sendto(b"%d" % number, stage.port())
    await stage.settle()


@scene
async def closing_in_the_middle(stage: Stage) -> None:
    await stage.open()
    stage.actor.react["datagram_received"] = lambda: stage.transport.close()
    for number in range(5):
        stage.peer.sendto(b"%d" % number, stage.port())
    await stage.lost.wait()


@scene
async def aborting_in_the_middle(stage: Stage) -> None:
    await stage.open()
    stage.actor.react["datagram_received"] = lambda: stage.in_context("aborter", stage.transport.abort)
    for number in range(5):
        stage.peer.sendto(b"%d" % number, stage.port())
    await stage.lost.wait()


@scene
async def failing_in_the_middle(stage: Stage) -> None:
    await stage.open()
    stage.actor.react["datagram_received"] = lambda: (variable.set(variable.get() + "!"), 1 / 0)
    for number in range(5):
        stage.peer.sendto(b"%d" % number, stage.port())
    await stage.settle()
    stage.state()


@scene
async def another_protocol_in_the_middle(stage: Stage) -> None:
    class Other(Actor):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            stage.note("other", data, variable.get())

    await stage.open()
    stage.actor.react["datagram_received"] = lambda: stage.transport.set_protocol(Other(stage))
    for number in range(3):
        stage.peer.sendto(b"%d" % number, stage.port())
    await stage.settle()


@scene
async def failing_connection_made(stage: Stage) -> None:
    stage.actor.react["connection_made"] = lambda: 1 / 0
    await stage.open()
    stage.peer.sendto(b"heard all the same", stage.port())
    await stage.settle()


@scene
async def failing_connection_lost(stage: Stage) -> None:
    stage.actor.react["connection_lost"] = lambda: 1 / 0
    await stage.open()
    stage.in_context("closer", stage.transport.close)
    await stage.settle()


@scene
async def a_full_buffer(stage: Stage) -> None:
    await stage.open_full()
    stage.state()
    for number in range(FILLING):
        assert await stage.receive() == b"%05d" % number
    await stage.settle()
    stage.state()
    stage.transport.sendto(b"at once again")
    stage.note(await stage.receive())


@scene
async def the_size_of_the_buffer(stage: Stage) -> None:
    await stage.open_full()
    before = stage.buffered() or 0
    stage.transport.sendto(b"12345")
    stage.transport.sendto(b"")
    stage.note((stage.buffered() or 0) - before)
    for _ in range(FILLING + 1):
        await stage.receive()
    await stage.settle()
    stage.note(stage.buffered())


@scene
async def flow_control(stage: Stage) -> None:
    await stage.open_full()
    for arguments in ({}, {"high": 100}, {"low": 10}, {"high": 0}, {"high": 1, "low": 2}, {"high": -1}):
        stage.trying(lambda arguments=arguments: stage.transport.set_write_buffer_limits(**arguments))  # type: ignore[misc]
        stage.trying(stage.transport.get_write_buffer_limits)
    stage.in_context("limiter", stage.transport.set_write_buffer_limits, 0)
    if sys.version_info[:3] == (3, 13, 0):
        return
    for _ in range(FILLING):
        await stage.receive()
    await stage.settle()


@scene
async def closing_with_a_full_buffer(stage: Stage) -> None:
    await stage.open_full()
    stage.in_context("closer", stage.transport.close)
    stage.state()
    stage.trying(lambda: stage.transport.sendto(b"behind"))
    for _ in range(FILLING):
        await stage.receive()
    await stage.lost.wait()


@scene
async def aborting_with_a_full_buffer(stage: Stage) -> None:
    await stage.open_full()
    stage.in_context("aborter", stage.transport.abort)
    await stage.lost.wait()


@scene
async def aborting_while_closing(stage: Stage) -> None:
    await stage.open_full()
    stage.transport.close()
    stage.in_context("aborter", stage.transport.abort)
    await stage.lost.wait()


@scene
async def peer_gone_with_a_full_buffer(stage: Stage) -> None:
    await stage.open_full()
    stage.transport.pause_reading()
    size = stage.transport.get_write_buffer_size()
    stage.peer.close()
    # One error for each of the buffered, one a turn, then it is empty.
    for _ in range(3 * FILLING):
        await asyncio.sleep(0)
    stage.note(size > 0, stage.buffered())


@pytest.mark.parametrize("name", scene)
def test_the_scene_is_the_same(name: str, factory: Any, debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Calls, their order and their context variables, what raises, what is reported and what is logged."""
    compare(Stage, scene[name], factory, debug, caplog, unlike=r"<.*>|\d+")
