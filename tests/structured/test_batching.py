"""`hocket.batched`: by number and by time, and no item lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket
from tests.structured.test_amap import asynchronous, broken, nothing_left
from tests.structured.test_channels import outcome, start
from tests.unit.loops import EVERY
from tests.unit.loops import run as run_on
from tests.virtual import run


async def at(*times: float, log: list[str] | None = None) -> AsyncIterator[float]:
    """An item at each of these times."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        for when in times:
            await asyncio.sleep(began + when - loop.time())
            yield when
    finally:
        if log is not None:
            log.append("closed")


@pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
@pytest.mark.parametrize("kind", [list, asynchronous])
def test_batches_by_number(factory: Any, kind: Any) -> None:
    """Of iterables of either kind: full ones, and the rest."""

    async def main() -> list[Any]:
        before = asyncio.all_tasks()
        got = [batch async for batch in hocket.batched(kind(range(8)), 3)]
        assert asyncio.all_tasks() == before
        return got

    assert run_on(factory, main()) == [(0, 1, 2), (3, 4, 5), (6, 7)]


@pytest.mark.parametrize("kind", [list, asynchronous])
def test_no_batch_is_empty(kind: Any) -> None:
    """Neither of nothing nor at the end."""

    async def main() -> list[Any]:
        got = [batch async for batch in hocket.batched(kind([]), 3)]
        return got + [batch async for batch in hocket.batched(kind(range(3)), 3)]

    assert run(main()) == [(0, 1, 2)]


def test_time_cuts_a_batch_off() -> None:
    """So long after its first item, and not after the last batch."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        source = at(0, 1, 5, 5.5, 5.6, 5.7, 20)
        return [(round(loop.time() - began, 3), batch) async for batch in hocket.batched(source, 3, within=2)]

    assert run(main()) == [(2.0, (0, 1)), (5.6, (5, 5.5, 5.6)), (7.7, (5.7,)), (20.0, (20,))]


def test_items_gather_while_a_batch_is_dealt_with() -> None:
    """As many as one batch holds; who comes late finds it ready."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        got = []
        async with hocket.batched(at(*range(40)), 4, within=0.5) as batches:
            async for batch in batches:
                began = loop.time()
                got.append(batch)
                if len(got) == 3:
                    return got
                await asyncio.sleep(10)
                assert loop.time() - began == 10
        return got

    first, second, third = run(main())
    assert first == (0,)
    assert (len(second), len(third)) == (4, 4)


@pytest.mark.parametrize(
    ("size", "within", "error", "said"),
    [
        (0, None, ValueError, "size of 1 or more, got 0"),
        (1.5, None, TypeError, "size as an int of 1 or more"),
        (3, 0, ValueError, "within to be more than 0 seconds, got 0"),
        (3, float("nan"), ValueError, "within to be more than 0"),
        (3, "1", TypeError, "within as a number of seconds above 0, or None, got '1'"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(size: Any, within: Any, error: type[Exception], said: str) -> None:
    """At the call."""
    with pytest.raises(error, match=said):
        hocket.batched([1], size, within=within)


def test_what_cannot_be_iterated_is_refused() -> None:
    """At the call."""
    with pytest.raises(TypeError, match=r"batched\(\) expected an iterable"):
        hocket.batched(3, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [iter, asynchronous])
def test_what_came_before_an_error_is_given_first(kind: Any) -> None:
    """Then the error as it is, and then nothing more."""

    async def main() -> list[Any]:
        batches = hocket.batched(kind(broken()), 3)
        got = [await anext(batches)]
        with pytest.raises(LookupError):
            await anext(batches)
        assert nothing_left()
        return [*got, *[batch async for batch in batches]]

    assert run(main()) == [(1,)]


def test_a_cancelled_batch_is_taken_up_again() -> None:
    """In a block: what had been taken for it is still in it."""

    async def main() -> list[Any]:
        got = []
        async with hocket.batched(at(*range(9)), 4) as batches:
            while True:
                try:
                    async with asyncio.timeout(1.5):
                        got.append(await anext(batches))
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    return got

    assert run(main()) == [(0, 1, 2, 3), (4, 5, 6, 7), (8,)]


def test_its_source_ends_with_it() -> None:
    """A block that is left, and a cancellation without one."""

    async def main() -> list[str]:
        log: list[str] = []
        async with hocket.batched(at(*range(9), log=log), 2) as batches:
            await anext(batches)
        assert nothing_left()

        async def consume() -> None:
            async for _ in hocket.batched(at(*range(9), log=log), 2, within=1):
                pass

        task = start(consume())
        await asyncio.sleep(2)
        task.cancel()
        assert await outcome(task) is asyncio.CancelledError
        assert nothing_left()
        return log

    assert run(main()) == ["closed", "closed"]


@settings(max_examples=150)
@given(
    st.lists(st.integers(0, 4), max_size=20),
    st.integers(1, 4),
    st.none() | st.integers(1, 6),
    st.integers(0, 5),
    st.lists(st.integers(1, 5), max_size=4),
)
def test_any_schedule_gives_every_item_once(
    gaps: list[int], size: int, within: int | None, pace: int, impatience: list[int]
) -> None:
    """In order, in batches that are not too large, and none later than it may be."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        times = [sum(gaps[: index + 1]) for index in range(len(gaps))]
        arrived: dict[int, float] = {}

        async def source() -> AsyncIterator[int]:
            for index, gap in enumerate(gaps):
                await asyncio.sleep(gap)
                arrived[index] = loop.time()
                yield index

        got: list[int] = []
        patience = [*impatience, 1000]
        asked = loop.time()
        async with hocket.batched(source(), size, within=within) as batches:
            while True:
                try:
                    async with asyncio.timeout(patience[0]):
                        batch = await anext(batches)
                except TimeoutError:
                    patience.pop(0)
                    continue
                except StopAsyncIteration:
                    break
                assert 1 <= len(batch) <= size
                if within is not None:
                    assert loop.time() <= max(arrived[batch[0]] + within, asked) + sum(impatience)
                got.extend(batch)
                await asyncio.sleep(pace)
                asked = loop.time()
        assert got == list(range(len(times)))
        assert nothing_left()

    run(main())
