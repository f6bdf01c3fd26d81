"""asyncio's own streams on hocket's transports: fed without a call through Python, and none the wiser."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import weakref
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .loops import OURS, Reports, hocket_selector, run, stock
from .peers import connection, until

EACH_LOOP = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)


def streams(limit: int = 65536, kind: Any = asyncio.StreamReader) -> tuple[Any, Callable[[], Any]]:
    """A reader, and what makes its protocol."""
    loop = asyncio.get_running_loop()
    reader = kind(limit=limit, loop=loop)
    return reader, lambda: asyncio.StreamReaderProtocol(reader, loop=loop)


class Calls:
    """Counts the calls of Python functions by name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __enter__(self) -> Calls:
        sys.setprofile(lambda frame, event, _: self.names.append(frame.f_code.co_name) if event == "call" else None)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)


async def transcript(chunks: list[bytes], reads: list[int], limit: int) -> list[Any]:
    """What a reader of a real connection gives, and what is buffered and whether it is paused meanwhile."""
    reader, make = streams(limit)
    log: list[Any] = []
    async with connection(make, unix=True) as link:
        for chunk in chunks:
            await link.send(chunk)
            for _ in range(5):
                await asyncio.sleep(0)
            log.append((bytes(reader._buffer), reader._paused))
        link.peer.close()
        for size in reads:
            try:
                log.append(await reader.readexactly(size))
            except asyncio.IncompleteReadError as error:
                log.append(("incomplete", error.partial))
        log.append((await reader.read(), reader.at_eof()))
    return log


@settings(max_examples=50)
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=30), max_size=6),
    reads=st.lists(st.integers(0, 40), max_size=5),
    limit=st.integers(1, 20),
)
def test_buffered_paused_and_read_as_on_asyncios_loop(chunks: list[bytes], reads: list[int], limit: int) -> None:
    """Whatever comes in whatever pieces."""
    expected = run(stock, transcript(chunks, reads, limit))
    assert run(hocket_selector, transcript(chunks, reads, limit)) == expected


@EACH_LOOP
def test_no_call_through_python(factory: Any) -> None:
    """Neither `data_received` nor `feed_data` is called, whether somebody waits or not."""

    async def main() -> list[str]:
        reader, make = streams()
        async with connection(make) as link:
            await link.send(b"first")
            await reader.readexactly(5)
            with Calls() as calls:
                task = asyncio.ensure_future(reader.readexactly(6))
                await asyncio.sleep(0)
                await link.send(b"second")
                assert await task == b"second"
                await link.send(b"third")
                await until(lambda: reader._buffer == b"third")
        return [name for name in calls.names if name in ("data_received", "feed_data", "readexactly")]

    assert set(run(factory, main())) == {"readexactly"}


@EACH_LOOP
@pytest.mark.parametrize("name", ["data_received", "feed_data", "_wakeup_waiter"])
@pytest.mark.parametrize("whole_class", [True, False])
def test_whoever_replaces_a_method_is_heard(factory: Any, name: str, whole_class: bool) -> None:
    """On the class or on the object, before the connection is made."""

    async def main() -> None:
        reader, make = streams()
        protocol = make()
        owner = protocol if name == "data_received" else reader
        target = type(owner) if whole_class else owner
        original = getattr(target, name)
        heard = mock.Mock()

        def spy(*arguments: Any) -> Any:
            heard(*arguments)
            return original(*arguments)

        with mock.patch.object(target, name, spy):
            async with connection(lambda: protocol) as link:
                task = asyncio.ensure_future(reader.readexactly(4))
                await asyncio.sleep(0)
                await link.send(b"data")
                assert await task == b"data"
        assert heard.called

    run(factory, main())


@EACH_LOOP
def test_subclasses_are_called(factory: Any) -> None:
    """A reader, or a protocol, with its own idea of what to do with data."""

    class Loud(asyncio.StreamReader):
        def feed_data(self, data: Any) -> None:
            super().feed_data(data.upper())

    class Double(asyncio.StreamReaderProtocol):
        def data_received(self, data: bytes) -> None:
            super().data_received(data * 2)

    async def main() -> tuple[bytes, bytes]:
        loud, make = streams(kind=Loud)
        async with connection(make) as link:
            await link.send(b"data")
            first = await loud.readexactly(4)
        reader = asyncio.StreamReader()
        async with connection(lambda: Double(reader)) as link:
            await link.send(b"data")
            return first, await reader.readexactly(8)

    assert run(factory, main()) == (b"DATA", b"datadata")


@EACH_LOOP
def test_waiter_of_another_kind(factory: Any) -> None:
    """A reader whose loop hands out futures of asyncio's is woken through them."""

    async def main() -> bytes:
        reader, make = streams()
        loop = asyncio.get_running_loop()
        async with connection(make) as link:
            with mock.patch.object(loop, "create_future", return_value=asyncio.Future(loop=loop)):
                task = asyncio.ensure_future(reader.readexactly(4))
                await asyncio.sleep(0)
            await link.send(b"data")
            return await task  # type: ignore[no-any-return]

    assert run(factory, main()) == b"data"


@EACH_LOOP
def test_cancelled_read_takes_nothing(factory: Any) -> None:
    """What had come stays, and a waiter that was cancelled is not woken."""

    async def main() -> bytes:
        reader, make = streams()
        async with connection(make) as link:
            task = asyncio.ensure_future(reader.readexactly(8))
            await asyncio.sleep(0)
            await link.send(b"data")
            await until(lambda: reader._buffer)
            task.cancel()
            await link.send(b"more")
            with pytest.raises(asyncio.CancelledError):
                await task
            return await reader.readexactly(8)  # type: ignore[no-any-return]

    assert run(factory, main()) == b"datamore"


@EACH_LOOP
def test_reader_that_nobody_holds(factory: Any) -> None:
    """What comes then is dropped, and the connection stays."""

    async def main() -> None:
        reader, make = streams()
        protocol = make()
        async with connection(lambda: protocol) as link:
            reference = weakref.ref(reader)
            reader._transport = None
            del reader, make
            gc.collect()
            assert reference() is None
            await link.send(b"data")
            await asyncio.sleep(0.01)
            assert not link.transport.is_closing()

    run(factory, main())


@EACH_LOOP
def test_data_after_the_end_is_an_error(factory: Any) -> None:
    """asyncio's assertion, reported as a failure of `data_received`; the connection is lost."""

    async def main() -> list[str]:
        reports = Reports(asyncio.get_running_loop())
        reader, make = streams()
        async with connection(make) as link:
            reader.feed_eof()
            await link.send(b"data")
            await until(link.transport.is_closing)
        return reports.messages

    assert run(factory, main()) == ["Fatal error: protocol.data_received() call failed."]


@EACH_LOOP
def test_protocol_goes_with_its_connection(factory: Any) -> None:
    """Nothing of the transport keeps it once the connection is lost."""

    async def main() -> None:
        reader, make = streams()
        ours, peer = socket.socketpair()
        transport, protocol = await asyncio.get_running_loop().create_connection(make, sock=ours)
        reference = weakref.ref(protocol)
        transport.close()
        await protocol._closed  # type: ignore[attr-defined]
        reader._transport = None
        del protocol, make
        gc.collect()
        assert reference() is None
        peer.close()

    run(factory, main())
