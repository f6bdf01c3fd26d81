"""`hocket.pipeline`: stages behind each other; what one is, all are held to."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket
from tests.structured.test_amap import Busy, asynchronous, broken, nothing_left
from tests.structured.test_channels import outcome, start, turns
from tests.unit.loops import EVERY
from tests.unit.loops import run as run_on
from tests.virtual import run


async def plus_one(item: int) -> int:
    await asyncio.sleep(0)
    return item + 1


async def double(item: int) -> int:
    return 2 * item


@pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
def test_items_go_through_every_stage(factory: Any) -> None:
    """On every loop; in order if every stage keeps it."""

    async def main() -> list[int]:
        before = asyncio.all_tasks()
        line = hocket.pipeline(
            range(10),
            hocket.stage(plus_one, max_at_once=3, ordered=True),
            hocket.stage(double, max_at_once=2, ordered=True),
        )
        got = [item async for item in line]
        assert asyncio.all_tasks() == before
        return got

    assert run_on(factory, main()) == [2 * (item + 1) for item in range(10)]


def test_each_stage_has_a_bound_of_its_own() -> None:
    """And the slowest decides: nothing piles up in front of it."""

    async def main() -> None:
        first, second = Busy(), Busy()
        pulled = 0

        def items() -> Iterator[int]:
            nonlocal pulled
            for item in range(1000):
                pulled += 1
                yield item

        async def quick(item: int) -> int:
            with first:
                await asyncio.sleep(0.01)
                return item

        async def slow(item: int) -> int:
            with second:
                await asyncio.sleep(10)
                return item

        line = hocket.pipeline(items(), hocket.stage(quick, max_at_once=4), hocket.stage(slow, max_at_once=2))
        async with line:
            await asyncio.sleep(15)
            # Windows of 4 and 8, and nothing between them.
            assert pulled <= 4 + 8
            assert (first.most, second.most) == (4, 2)
            assert [facts.max_at_once for facts in line.statistics()] == [4, 2]
            await asyncio.sleep(1000)
            assert pulled <= 4 + 8
        assert nothing_left()

    run(main())


def test_any_function_of_iterables_is_a_stage() -> None:
    """`batched`, `merge`, an asynchronous generator."""

    async def main() -> list[Any]:
        async def odd(items: Any) -> AsyncIterator[int]:
            async for item in items:
                if item % 2:
                    yield item

        line = hocket.pipeline(
            asynchronous(range(10)),
            odd,
            functools.partial(hocket.batched, size=2),
        )
        got: list[Any] = [item async for item in line]
        line = hocket.pipeline(range(4), hocket.stage(double, max_at_once=1), odd)
        assert [facts is None for facts in line.statistics()] == [False, True]
        got += [item async for item in line]
        assert nothing_left()
        return got

    assert run(main()) == [(1, 3), (5, 7), (9,)]


def test_what_is_no_stage_is_refused() -> None:
    """At the call, by what it is."""
    with pytest.raises(ValueError, match="one stage at least"):
        hocket.pipeline([1])
    with pytest.raises(TypeError, match=r"expected stages that take an iterable, .*got 3"):
        hocket.pipeline([1], 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected an asynchronous iterable from the stage"):
        hocket.pipeline([1], list)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"pipeline\(\) expected an iterable, or an asynchronous one, got 3"):
        hocket.pipeline(3, hocket.stage(double, max_at_once=1))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_at_once of 1 or more, got 0"):
        hocket.stage(double, max_at_once=0)
    with pytest.raises(TypeError, match="max_at_once"):
        hocket.stage(double)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="expected a coroutine function, got 3"):
        hocket.stage(3, max_at_once=1)  # type: ignore[arg-type]


def test_a_failure_anywhere_ends_every_stage() -> None:
    """And comes out at the end of the line, in one group."""

    async def fails_at_5(item: int) -> int:
        await asyncio.sleep(1)
        if item == 5:
            raise ValueError(item)
        return item

    async def main(position: int) -> None:
        log: list[str] = []
        stages = [hocket.stage(plus_one, max_at_once=2) for _ in range(3)]
        stages[position] = hocket.stage(fails_at_5, max_at_once=2)
        with pytest.raises(ExceptionGroup) as caught:
            async for _ in hocket.pipeline(asynchronous(range(100), log), *stages):
                pass
        assert [repr(error) for error in caught.value.exceptions] == ["ValueError(5)"]
        assert nothing_left() and log == ["closed"]

    for position in range(3):
        run(main(position))


def test_an_error_of_the_source_comes_out_as_it_is() -> None:
    """Through every stage."""

    async def main() -> None:
        line = hocket.pipeline(broken(), *(hocket.stage(double, max_at_once=1) for _ in range(3)))
        with pytest.raises(LookupError):
            await line.drain()
        assert nothing_left()

    run(main())


def test_drain_runs_it_for_what_it_does() -> None:
    """And counts."""

    async def main() -> int:
        return await hocket.pipeline(range(7), hocket.stage(double, max_at_once=2)).drain()

    assert run(main()) == 7


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, 3), max_size=12),
    st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.integers(0, 3)), min_size=1, max_size=3),
    st.none() | st.integers(0, 25),
    st.none() | st.integers(0, 12),
    st.booleans(),
    st.booleans(),
)
def test_any_end_leaves_nothing(
    items: list[int],
    stages: list[tuple[int, bool, int]],
    cancelled: int | None,
    taken: int | None,
    async_source: bool,
    block: bool,
) -> None:
    """To the end, cancelled whenever, or left after so many: all bounds are kept, and when the task of the consumer has
    ended so has every stage."""

    async def main() -> None:
        log: list[str] = []
        busy = [Busy() for _ in stages]
        got: list[int] = []

        def made(number: int, max_at_once: int, ordered: bool, length: int) -> Any:
            async def call(item: int) -> int:
                with busy[number]:
                    await turns((item + length) % 4)
                return item

            return hocket.stage(call, max_at_once=max_at_once, ordered=ordered)

        async def consume() -> None:
            source: Any = list(range(len(items)))
            if async_source:
                source = asynchronous(source, log)
            line = hocket.pipeline(source, *(made(number, *each) for number, each in enumerate(stages)))
            if block or taken is not None:
                async with line:
                    async for item in line:
                        got.append(item)
                        if len(got) == taken:
                            return
            else:
                async for item in line:
                    got.append(item)

        task = start(consume())
        if cancelled is not None:
            await turns(cancelled)
            task.cancel()
        ended = await outcome(task)
        assert nothing_left()
        for each, (max_at_once, _, _) in zip(busy, stages, strict=True):
            assert each.now == 0 and each.most <= max_at_once
        assert len(got) == len(set(got))
        if ended is None and taken is None:
            assert sorted(got) == list(range(len(items)))
        if all(ordered for _, ordered, _ in stages):
            assert got == list(range(len(got)))

    run(main())
