"""What differs from asyncio on purpose, as docs/compatibility.md tells it."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

import hocket

TOOL = "what differs on purpose"
PACKAGES: tuple[str, ...] = ()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return hocket.run(asyncio.wait_for(main, 20))


async def connected() -> tuple[asyncio.Transport, socket.socket]:
    """A transport, and the socket at its other end, which does not wait."""
    ours, peer = socket.socketpair()
    peer.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    return transport, peer


def test_writes_are_gathered() -> None:
    """What a protocol writes leaves at the end of the turn, in one piece."""

    async def main() -> bytes:
        transport, peer = await connected()
        with peer:
            transport.write(b"one ")
            transport.write(b"packet")
            with pytest.raises(BlockingIOError):
                peer.recv(100)
            await asyncio.sleep(0)
            received = peer.recv(100)
            transport.abort()
            await asyncio.sleep(0)
        return received

    assert run(main()) == b"one packet"


@pytest.mark.parametrize("ask", ["get_write_buffer_size", "close"])
def test_who_asks_finds_it_sent(ask: str) -> None:
    """Asking for the size of the buffer, and closing, send first what the socket takes."""

    async def main() -> bytes:
        transport, peer = await connected()
        with peer:
            transport.write(b"sent")
            getattr(transport, ask)()
            received = peer.recv(100)
            transport.abort()
            await asyncio.sleep(0)
        return received

    assert run(main()) == b"sent"


def test_live_tasks_are_held() -> None:
    """The loop holds every task that is not done: one that nobody else holds is not lost to the garbage collector."""
    finished: list[bool] = []

    async def forgotten() -> None:
        held_by_nobody = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.05, held_by_nobody.set_result, None)
        await held_by_nobody
        finished.append(True)

    async def main() -> None:
        asyncio.create_task(forgotten())
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.sleep(0.1)

    run(main())
    assert finished == [True]


def test_lookups_have_threads_of_their_own() -> None:
    """A name lookup is not made in the default executor, which may be busy."""
    release = threading.Event()

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        occupied = [asyncio.create_task(asyncio.to_thread(release.wait, 20)) for _ in range(40)]
        await asyncio.sleep(0)
        try:
            found = await asyncio.wait_for(loop.getaddrinfo("localhost", 80), 10)
        finally:
            release.set()
        await asyncio.wait(occupied)
        return bool(found)

    assert run(main())


def test_tasks_are_of_another_class() -> None:
    """Tasks and futures pass for asyncio's in isinstance(), and are of classes of their own."""

    async def main() -> None:
        task = asyncio.current_task()
        future = asyncio.get_running_loop().create_future()
        assert isinstance(task, asyncio.Task) and type(task) is hocket.Task
        assert isinstance(future, asyncio.Future) and type(future) is hocket.Future

    run(main())


def test_what_await_iterates_over_has_no_throw() -> None:
    """`future.__await__()` has send() but neither throw() nor close(): an error is raised at the await itself."""

    async def main() -> None:
        iterator: Any = asyncio.get_running_loop().create_future().__await__()
        assert hasattr(iterator, "send")
        assert not hasattr(iterator, "throw") and not hasattr(iterator, "close")

    run(main())


def test_uncancel_calls_a_pending_cancellation_off() -> None:
    """As asyncio from Python 3.13 on: the last uncancel() calls off a cancellation that has not been raised yet."""

    async def main() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        task.uncancel()
        await asyncio.sleep(0)
        return "not cancelled"

    assert run(main()) == "not cancelled"


def test_selector_is_not_there_to_register_with() -> None:
    """The loop waits through its driver: its selector is a stand-in, which says where to go instead."""

    async def main() -> str:
        loop: Any = asyncio.get_running_loop()
        with socket.socket() as unused, pytest.raises(NotImplementedError) as refused:
            loop._selector.register(unused, 1)
        return str(refused.value)

    assert "add_reader" in run(main())


def test_a_slow_reader_still_holds_writers_back() -> None:
    """Gathering does not defer flow control: above the high-water mark pause_writing is called within write()."""
    paused: list[bool] = []

    class Protocol(asyncio.Protocol):
        def pause_writing(self) -> None:
            paused.append(True)

    async def main() -> bool:
        ours, peer = socket.socketpair()
        with peer:
            transport, _ = await asyncio.get_running_loop().create_connection(Protocol, sock=ours)
            for _ in range(200):
                transport.write(b"x" * 65536)
                if paused:
                    break
            at_once = bool(paused)
            transport.abort()
            await asyncio.sleep(0)
        return at_once

    assert run(main())
