"""The flight recorder's ring: the Python twin and the package's own, one behaviour."""

from __future__ import annotations

import errno
import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.native import ring

from .test_native_twins import TWINS, by_path

RINGS = [by_path("ring"), ring]
either = pytest.mark.parametrize("native", RINGS, ids=TWINS)


def numbers(native: Any, contents: bytes) -> list[int]:
    """The first number of each record."""
    return [fields[6] for fields in native.LAYOUT.iter_unpack(contents)]


def write(made: Any, number: int, text: str = "") -> None:
    made.write(ring.MARK, 0, 1, 0, 0, 0, number, 0, 0, text)


def texts(native: Any, contents: bytes) -> list[bytes]:
    """The text behind each record that has any."""
    found: list[bytes] = []
    before = None
    for fields in native.LAYOUT.iter_unpack(contents):
        if fields[0] == native.TEXT:
            if before != native.TEXT:
                found.append(b"")
            found[-1] += native.LAYOUT.pack(*fields)[8:][: fields[1]]
        before = fields[0]
    return found


def test_the_twins_have_the_same_kinds() -> None:
    """Every number that stands for something is the same in both, and all kinds of records differ."""
    python, own = RINGS
    names = {name: value for name, value in vars(python).items() if name.isupper() and isinstance(value, int)}
    public = {name: value for name, value in names.items() if not name.startswith("_")}
    assert {name: getattr(own, name) for name in public} == public
    records = [
        public[name] for name in ["STEP", "CALL", "TURN", "SPAWN", "DONE", "TEXT", "IO", "TIMER", "CANCEL", "BLOCKED"]
    ]
    records += [public[name] for name in ["SPAN_BEGIN", "SPAN_END", "MARK", "COLLECTED", "LEFT", "TRAFFIC"]]
    assert records == list(range(1, 17))


@either
def test_a_record_comes_out_as_it_went_in(native: Any) -> None:
    """All fields, also the greatest numbers that fit."""
    made = native.Ring(4)
    fields = (255, 254, 65535, 2**32 - 1, 2**64 - 1, 2**64 - 2, 2**64 - 3, 2**64 - 4, 2**64 - 5)
    made.write(*fields)
    assert native.LAYOUT.unpack(made.contents()) == fields
    assert native.LAYOUT.size == native.RECORD_SIZE


@either
@given(st.integers(0, 100))
def test_the_oldest_are_overwritten_and_counted(native: Any, count: int) -> None:
    """What fits is there, the oldest first; how many are not is known."""
    made = native.Ring(16)
    for number in range(count):
        write(made, number)
    assert numbers(native, made.contents()) == list(range(max(count - 16, 0), count))
    assert (made.written, made.overwritten(), made.capacity()) == (count, max(count - 16, 0), 16)


@either
@pytest.mark.parametrize("records", [0, 1, 3, 48, -2])
def test_sizes_that_cannot_be(native: Any, records: int) -> None:
    """The number of records is a power of two, and at least two."""
    with pytest.raises(ValueError, match=f"power of two as the number of records, got {records}"):
        native.Ring(records)


@either
@pytest.mark.parametrize("text", ["", "x", "a name", "x" * 40, "x" * 41, "Grüße, 世界", "x" * 200])
def test_text_is_kept(native: Any, text: str) -> None:
    """Up to 200 bytes of UTF-8, in records of their own behind the one that they belong to."""
    made = native.Ring(16)
    write(made, 1, text)
    write(made, 2, "next")
    kept = [text.encode()] if text else []
    assert texts(native, made.contents()) == [*kept, b"next"]


@either
def test_text_that_is_too_long_is_cut(native: Any) -> None:
    """What is beyond 200 bytes is left out."""
    made = native.Ring(16)
    write(made, 1, "y" * 500)
    assert texts(native, made.contents()) == [b"y" * 200]


@either
def test_text_that_is_no_unicode(native: Any) -> None:
    """Half a surrogate pair, as in the name of a file, does not disturb."""
    made = native.Ring(16)
    write(made, 1, "a\udc80b")
    assert texts(native, made.contents()) == [b"a?b"]


# -- Names


def code_of(function: Any) -> types.CodeType:
    return function.__code__  # type: ignore[no-any-return]


@either
def test_places_have_numbers(native: Any) -> None:
    """From 1 on; the same code and offset has the same number, and None has 0."""
    made = native.Ring(4)
    one, other = code_of(texts), code_of(numbers)
    assert [made.place_of(one, 2), made.place_of(one, 4), made.place_of(other, 2), made.place_of(one, 2)] == [
        1,
        2,
        3,
        1,
    ]
    assert made.places.known == [(one, 2), (one, 4), (other, 2)]
    assert made.place_of(None, 0) == 0


@either
def test_many_places(native: Any) -> None:
    """Each of thousands keeps its number."""
    made = native.Ring(4)
    code = code_of(numbers)
    assert [made.place_of(code, offset) for offset in range(5000)] == list(range(1, 5001))
    assert [made.place_of(code, offset) for offset in range(5000)] == list(range(1, 5001))


@either
def test_more_places_than_there_are_numbers(native: Any) -> None:
    """What comes when 65,535 are known has the number 0, and is counted."""
    made = native.Ring(4)
    code = code_of(numbers)
    for offset in range(65_535):
        made.place_of(code, offset)
    assert [made.place_of(code, 65_535), made.place_of(code, 65_536), made.place_of(code, 7)] == [0, 0, 8]
    assert made.places.refused == 2


@either
def test_a_listener_is_told_of_each_new_place(native: Any) -> None:
    """Once, with its number; also when it asks for places itself."""
    made = native.Ring(4)
    code = code_of(numbers)
    told: list[Any] = []

    def listener(number: int, it: Any, offset: int) -> None:
        told.append((number, it, offset))
        if offset < 3:
            made.place_of(code, offset + 1)

    made.places.listener = listener
    made.place_of(code, 1)
    made.place_of(code, 2)
    assert told == [(1, code, 1), (2, code, 2), (3, code, 3)]


@either
def test_who_somebody_is(native: Any) -> None:
    """Where it is in memory, and above that the number of its type."""
    made = native.Ring(4)
    it, other = [1], [2]
    assert made.identify(it) == id(it) & (1 << 48) - 1 | 1 << 48
    assert made.identify(other) >> 48 == 1
    assert made.identify("text") >> 48 == 2
    assert [known for known, _ in made.types.known] == [list, str]


@either
def test_where_a_function_begins(native: Any) -> None:
    """Functions and methods have a place; what is not Python's has none."""
    made = native.Ring(4)

    class Some:
        def method(self) -> None:
            pass

    assert made.place_of_function(numbers) == made.place_of_function(numbers) == 1
    assert made.place_of_function(Some().method) == 2
    assert made.places.known == [(code_of(numbers), 0), (code_of(Some.method), 0)]
    assert [made.place_of_function(it) for it in (print, [].append, Some, None)] == [0, 0, 0, 0]


# -- Where a coroutine stands


class Pause:
    def __await__(self) -> Iterator[None]:
        yield


async def innermost() -> None:
    await Pause()


async def middle() -> None:
    await innermost()


async def outermost() -> None:
    await middle()


def standing(native: Any, libraries: tuple[str, ...], coroutine: Any, steps: int = 1) -> Any:
    made = native.Ring(4, libraries)
    for _ in range(steps):
        coroutine.send(None)
    number = made.place_of_suspended(coroutine)
    coroutine.close()
    return made.places.known[number - 1] if number else None


@either
def test_where_a_coroutine_stands(native: Any) -> None:
    """The innermost frame, also that of a generator behind ``__await__``."""
    code, offset = standing(native, (), outermost())
    assert code is code_of(Pause.__await__)
    assert offset > 0


@either
def test_where_a_coroutine_of_the_program_stands(native: Any, tmp_path: Path) -> None:
    """What is inside of a library's coroutine is told as being at the line that called the library."""
    library: dict[str, Any] = {}
    source = "async def help(what):\n    await what\n"
    exec(compile(source, str(tmp_path / "library.py"), "exec"), library)

    async def program() -> None:
        await library["help"](plain())

    async def plain() -> None:
        await library["help"](stop())

    @types.coroutine
    def stop() -> Iterator[None]:
        yield

    inner = standing(native, (), program())
    assert inner[0] is code_of(stop)
    # This file is the library now.
    code, _ = standing(native, (__file__,), program())
    assert code.co_filename == str(tmp_path / "library.py")


@either
def test_where_what_does_not_wait_stands(native: Any) -> None:
    """One that has not begun, one that is over and what is no coroutine stand nowhere."""
    assert standing(native, (), outermost(), steps=0) is None
    over = outermost()
    over.close()
    made = native.Ring(4)
    assert [made.place_of_suspended(it) for it in (over, None, 1, "text")] == [0, 0, 0, 0]


@either
def test_the_twins_agree_with_the_interpreter(native: Any) -> None:
    """The offset is that of ``frame.f_lasti``, wherever the coroutine has come to."""

    async def program() -> None:
        await Pause()
        for _ in range(2):
            await innermost()

    made = native.Ring(4, (__file__ + ".not",))
    coroutine = program()
    for _ in range(3):
        coroutine.send(None)
        chain: list[Any] = []
        it: Any = coroutine
        while it is not None:
            frame = getattr(it, "cr_frame", None) or it.gi_frame
            chain.append((frame.f_code, frame.f_lasti))
            it = getattr(it, "cr_await", None)
        assert made.places.known[made.place_of_suspended(coroutine) - 1] == chain[-1]
        assert set(chain) <= set(made.places.known)
    coroutine.close()


# -- Spilling


def chunks(native: Any, path: Path) -> list[bytes]:
    data, found = path.read_bytes(), []
    while data:
        tag, length = native.CHUNK.unpack_from(data)
        assert tag == native.RECORDS
        found.append(data[native.CHUNK.size :][:length])
        data = data[native.CHUNK.size + length :]
    return found


@either
@pytest.mark.parametrize("before", [0, 3, 8, 13])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 50])
def test_with_a_file_nothing_is_overwritten(native: Any, tmp_path: Path, before: int, count: int) -> None:
    """What is in the ring when it begins to spill, and all that comes then, is in the file in order."""
    made = native.Ring(8)
    for number in range(before):
        write(made, number)
    path = tmp_path / "spilled"
    with path.open("wb") as file:
        made.spill_to(file.fileno())
        for number in range(before, before + count):
            write(made, number)
        made.flush()
    lost = max(before - 8, 0)
    assert numbers(native, b"".join(chunks(native, path))) == list(range(lost, before + count))
    assert (made.overwritten(), made.spill_error, made.written) == (lost, 0, before + count)


@either
def test_text_is_spilled(native: Any, tmp_path: Path) -> None:
    """Text that goes over the end of the ring comes out whole."""
    made = native.Ring(4)
    path = tmp_path / "spilled"
    with path.open("wb") as file:
        made.spill_to(file.fileno())
        for _ in range(5):
            write(made, 1, "z" * 90)
        made.flush()
    assert texts(native, b"".join(chunks(native, path))) == [b"z" * 90] * 5


@either
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk(native: Any) -> None:
    """The error is kept, and from then on the oldest are overwritten and counted."""
    made = native.Ring(8)
    with open("/dev/full", "wb", buffering=0) as file:
        made.spill_to(file.fileno())
        for number in range(20):
            write(made, number)
        made.flush()
    assert (made.spill_error, made.overwritten(), made.written) == (errno.ENOSPC, 12, 20)
    assert numbers(native, made.contents()) == list(range(12, 20))
