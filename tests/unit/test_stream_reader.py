"""`hocket.StreamReader` by itself: beside asyncio's, and what is its own."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket

from .loops import EVERY, hocket_selector, run, stock

EACH_LOOP = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)


class Tap:
    """A transport that writes down when it is told to pause and to go on."""

    def __init__(self, log: list[Any], *, pausable: bool = True) -> None:
        self.log = log
        self.pausable = pausable

    def pause_reading(self) -> None:
        if not self.pausable:
            raise NotImplementedError
        self.log.append("pause")

    def resume_reading(self) -> None:
        self.log.append("resume")


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def outcome(task: asyncio.Task[Any]) -> Any:
    if not task.done():
        return "waits"
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    if error is None:
        return task.result()
    return type(error).__name__, error.args, getattr(error, "partial", None), getattr(error, "consumed", None)


SEPARATORS: list[Any] = [b"\n", b"ab", b"\na", b"aab", bytearray(b"b")]
if sys.version_info >= (3, 13):
    SEPARATORS += [(b"a", b"\n"), (b"ab\n", b"b"), (b"a\n", b"\n", b"bb")]

DATA = st.text("ab\n", max_size=24).map(str.encode)
READS = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 12)),
    st.tuples(st.just("readexactly"), st.integers(0, 40)),
    st.tuples(st.just("readuntil"), st.sampled_from(SEPARATORS)),
    st.just(("readline",)),
    st.just(("__anext__",)),
)
STEPS = st.lists(
    st.one_of(
        READS,
        READS,
        st.tuples(st.just("feed"), DATA),
        st.tuples(st.just("feed"), DATA.map(bytearray)),
        st.sampled_from([("turn",), ("turn",), ("cancel",), ("eof",), ("fail",)]),
    ),
    max_size=24,
)


async def transcript(kind: Any, limit: int, steps: list[Any]) -> list[Any]:
    """What can be seen of a reader of this *kind*, step by step."""
    log: list[Any] = []
    reader = kind(limit=limit, loop=asyncio.get_running_loop())
    reader.set_transport(Tap(log))
    tasks: list[Any] = []

    async def reading(name: str, arguments: Any) -> Any:
        return await getattr(reader, name)(*arguments)

    for name, *arguments in steps:
        if name == "feed":
            if not reader.at_eof() and reader.exception() is None and "eof" not in log:
                reader.feed_data(*arguments)
        elif name == "eof":
            reader.feed_eof()
            log.append("eof")
        elif name == "fail":
            reader.set_exception(ConnectionResetError("gone"))
        elif name == "turn":
            await turns()
        elif name == "cancel":
            # What `read` until the end had collected is lost with asyncio, and not with hocket.
            for task, whole in tasks:
                if not whole:
                    task.cancel()
        elif all(task.done() for task, _ in tasks):
            # Two who read at once are an error, which asyncio tells to one of them or to none.
            tasks.append((asyncio.create_task(reading(name, arguments)), name == "read" and arguments[0] < 0))
        log.append((name, [outcome(task) for task, _ in tasks], reader.at_eof()))
    await turns()
    log.append([outcome(task) for task, _ in tasks])
    # Nor what it had collected when the stream failed.
    if not any(whole and not isinstance(outcome(task), bytes) for task, whole in tasks):
        log.append(bytes(reader._buffer))
    for task, _ in tasks:
        task.cancel()
    await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
    return log


@settings(max_examples=300)
@given(limit=st.integers(1, 20), steps=STEPS)
def test_does_what_asyncios_does(limit: int, steps: list[Any]) -> None:
    """Results, errors, when they come, what stays in the buffer, and when the transport pauses and goes on."""
    expected = run(stock, transcript(asyncio.StreamReader, limit, steps))
    assert run(hocket_selector, transcript(hocket.StreamReader, limit, steps)) == expected


@EACH_LOOP
def test_message_that_came_in_one_piece_is_that_piece(factory: Any) -> None:
    """Nothing is copied on the way from the transport to the one who reads."""

    async def main() -> None:
        reader = hocket.StreamReader()
        for data, reading in [
            (b"x" * 100, lambda: reader.readexactly(100)),
            (b"y" * 100, lambda: reader.read(1000)),
            (b"z" * 100 + b"\n", lambda: reader.readline()),
        ]:
            task = asyncio.ensure_future(reading())
            await turns()
            reader.feed_data(data)
            assert await task is data

    run(factory, main())


@EACH_LOOP
def test_what_is_there_is_read_without_a_pause(factory: Any) -> None:
    """No other task runs between two reads of what has come."""

    async def main() -> list[bytes]:
        reader = hocket.StreamReader()
        reader.feed_data(b"one\ntwo\nthree")
        reader.feed_eof()
        ran = False

        def other() -> None:
            nonlocal ran
            ran = True

        asyncio.get_running_loop().call_soon(other)
        lines = [
            await reader.readline(),
            await reader.readuntil(b"w"),
            await reader.readexactly(2),
            await reader.read(2),
        ]
        lines.append(await reader.read())
        assert not ran
        return lines

    assert run(factory, main()) == [b"one\n", b"tw", b"o\n", b"th", b"ree"]


@EACH_LOOP
@pytest.mark.parametrize("reading", ["read", "readexactly", "readuntil", "readline"])
def test_cancelled_read_takes_nothing(factory: Any, reading: str) -> None:
    """Whether it is cancelled before anything has come or in the turn in which it came, the next one gets it all."""

    async def main() -> None:
        reader = hocket.StreamReader()
        arguments = {"read": [10], "readexactly": [5], "readuntil": [b"\n"], "readline": []}[reading]
        for early in (True, False):
            task = asyncio.ensure_future(getattr(reader, reading)(*arguments))
            await turns()
            if early:
                task.cancel()
                await turns()
                reader.feed_data(b"line\n")
            else:
                reader.feed_data(b"line\n")
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert await getattr(reader, reading)(*arguments) == b"line\n"

    run(factory, main())


@EACH_LOOP
@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_read_to_the_end_that_is_broken_off_gives_back(factory: Any, end: str) -> None:
    """What it had collected is first in the buffer again."""

    async def main() -> None:
        reader = hocket.StreamReader(limit=4)
        reader.set_transport(Tap([]))
        reader.feed_data(b"one two three")
        task = asyncio.ensure_future(reader.read())
        await turns()
        reader.feed_data(b" four")
        await turns()
        if end == "cancelled":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            reader.feed_data(b" five")
            reader.feed_eof()
            assert await reader.read() == b"one two three four five"
        else:
            reader.set_exception(OSError("gone"))
            with pytest.raises(OSError, match="gone"):
                await task
            assert reader._buffer == b"one two three four"

    run(factory, main())


@EACH_LOOP
def test_two_who_read_at_once(factory: Any) -> None:
    """The second is told so; the first gets its data."""

    async def main() -> None:
        reader = hocket.StreamReader()
        task = asyncio.ensure_future(reader.readline())
        await turns()
        with pytest.raises(RuntimeError, match=r"read\(\) called while another coroutine is already waiting"):
            await reader.read(1)
        reader.feed_data(b"line\n")
        assert await task == b"line\n"

    run(factory, main())


def test_lines_by_async_for() -> None:
    """Every line, the last one without a newline, then the end."""

    async def main() -> list[bytes]:
        reader = hocket.StreamReader()
        reader.feed_data(b"one\ntwo\n\nthree")
        reader.feed_eof()
        return [line async for line in reader]

    assert hocket.run(main()) == [b"one\n", b"two\n", b"\n", b"three"]


def test_separators_in_a_tuple_on_every_python() -> None:
    """The one that ends first counts, the shorter of two that end at one place."""

    async def main() -> list[bytes]:
        reader = hocket.StreamReader()
        reader.feed_data(b"one\r\ntwo\nthree\r")
        return [await reader.readuntil((b"\r\n", b"\n", b"\r")) for _ in range(4)]

    assert hocket.run(main()) == [b"one\r", b"\n", b"two\n", b"three\r"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda reader: reader.readexactly(-1), ValueError, "less than zero"),
        (lambda reader: reader.readuntil(b""), ValueError, "at least one-byte"),
        (lambda reader: reader.readuntil(()), ValueError, "at least one element"),
        (lambda reader: reader.readuntil((b"a", b"")), ValueError, "at least one-byte"),
        (lambda reader: reader.readuntil(5), TypeError, "int"),
    ],
)
def test_arguments_that_make_no_sense(call: Any, error: type[Exception], message: str) -> None:
    """They are refused when awaited, and nothing is read."""

    async def main() -> None:
        reader = hocket.StreamReader()
        reader.feed_data(b"data")
        with pytest.raises(error, match=message):
            await call(reader)
        assert await reader.read(10) == b"data"

    hocket.run(main())


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_has_to_be_positive(limit: int) -> None:
    """As with asyncio."""

    async def main() -> None:
        with pytest.raises(ValueError, match="Limit cannot be <= 0"):
            hocket.StreamReader(limit)

    hocket.run(main())


def test_limit_may_be_changed_later() -> None:
    """Programs raise it on readers that they were given."""

    async def main() -> None:
        reader = hocket.StreamReader(limit=4)
        reader.feed_data(b"a longer line\n")
        with pytest.raises(asyncio.LimitOverrunError):
            await reader.readuntil()
        reader._limit = 100
        assert await reader.readuntil() == b"a longer line\n"
        assert reader._limit == 100

    hocket.run(main())


def test_transport_that_cannot_pause() -> None:
    """Then everything is buffered, and it is asked once only."""

    async def main() -> None:
        reader = hocket.StreamReader(limit=1)
        reader.set_transport(Tap([], pausable=False))
        for _ in range(3):
            reader.feed_data(b"data")
        assert await reader.readexactly(12) == b"data" * 3
        assert reader._transport is None

    hocket.run(main())


def test_order_of_feeding() -> None:
    """Nothing after the end, and only one transport."""

    async def main() -> None:
        reader = hocket.StreamReader()
        reader.set_transport(Tap([]))
        with pytest.raises(AssertionError, match="Transport already set"):
            reader.set_transport(Tap([]))
        reader.feed_eof()
        with pytest.raises(AssertionError, match="feed_data after feed_eof"):
            reader.feed_data(b"late")
        with pytest.raises(AssertionError, match="after EOF"):
            await reader._wait_for_data("test")

    hocket.run(main())


def test_buffer_that_somebody_holds() -> None:
    """Whoever has looked at the buffer sees what comes later, and what he takes out is gone."""

    async def main() -> None:
        reader = hocket.StreamReader()
        reader.feed_data(b"first")
        held = reader._buffer
        assert isinstance(held, bytearray)
        await reader.readexactly(5)
        reader.feed_data(b"second")
        assert held == b"second"
        del held[:3]
        assert await reader.read(10) == b"ond"
        reader._buffer = bytearray(b"third")
        assert await reader.readexactly(5) == b"third"

    hocket.run(main())


def test_what_it_looks_like() -> None:
    """As asyncio's does."""

    async def main(kind: Any) -> list[str]:
        reader = kind(limit=5, loop=asyncio.get_running_loop())
        shown = [repr(reader)]
        reader.feed_data(b"data")
        shown.append(repr(reader))
        reader.feed_eof()
        reader.set_exception(ValueError("no"))
        return [*shown, repr(reader)]

    assert run(hocket_selector, main(hocket.StreamReader)) == run(stock, main(asyncio.StreamReader))


def test_passes_for_asyncios() -> None:
    """`isinstance` holds, and a subclass is of its own class as well."""

    class Mine(hocket.StreamReader):
        pass

    async def main() -> None:
        assert isinstance(hocket.StreamReader(), asyncio.StreamReader)
        assert isinstance(Mine(), (Mine,)) and Mine().__class__ is Mine

    hocket.run(main())


def test_subclass_with_methods_of_its_own() -> None:
    """`readline`, `async for` and `read` to the end go through what a subclass overrides, as with asyncio."""

    class Mine(hocket.StreamReader):
        async def readuntil(self, separator: Any = b"\n") -> bytes:
            return b"<" + await super().readuntil(b";")

        async def read(self, n: int = -1) -> bytes:
            return (await super().read(n)).upper()

    async def main() -> list[bytes]:
        reader = Mine(limit=3)
        reader.feed_data(b"a;b;c;rest\n")
        got = [await reader.readline(), await anext(reader)]
        reader.feed_eof()
        return [*got, await reader.read()]

    assert hocket.run(main()) == [b"<a;", b"<b;", b"C;REST\n"]


def test_line_over_the_limit_of_a_subclass() -> None:
    """It is dropped, as in the class itself."""

    class Mine(hocket.StreamReader):
        pass

    async def main() -> None:
        for kind in (hocket.StreamReader, Mine):
            reader = kind(limit=3)
            reader.feed_data(b"too long\nfit\nagain too long")
            with pytest.raises(ValueError, match="Separator is found"):
                await reader.readline()
            assert await reader.readline() == b"fit\n"
            with pytest.raises(ValueError, match="Separator is not found"):
                await reader.readline()
            reader.feed_eof()
            assert await reader.readline() == b""
            with pytest.raises(StopAsyncIteration):
                await anext(reader)

    hocket.run(main())


def test_debug_mode_tells_where_it_was_made() -> None:
    """As asyncio's: ``_source_traceback``."""

    async def main() -> Any:
        return hocket.StreamReader()._source_traceback

    assert hocket.run(main()) is None
    assert hocket.run(main(), debug=True)[-1].name == "main"


def test_read_that_is_never_awaited_warns() -> None:
    """As a coroutine does."""

    async def main() -> None:
        reader = hocket.StreamReader()
        with pytest.warns(RuntimeWarning, match=r"'StreamReader.readline' was never awaited"):
            reader.readline()

    hocket.run(main())
