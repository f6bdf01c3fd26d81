"""Looking into coroutines that are suspended: what awaits what, what they hold, and that they do not notice."""

from __future__ import annotations

import asyncio
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hocket
from hocket.observe.frames import (
    chain,
    frame_of,
    held_by,
    locals_of,
    names_in_use,
    place_in_program,
    primitives_entered,
    stack_of,
)


class Thing:
    """Something that a program has, and that is gone when nobody has it."""


class Stop:
    """Suspends whoever awaits it."""

    def __await__(self) -> Iterator[str]:
        yield "suspended"


def suspended(coroutine: Any) -> Any:
    """*coroutine*, up to where it is suspended."""
    assert coroutine.send(None) == "suspended"
    return coroutine


async def inner() -> None:
    await Stop()


@types.coroutine
def by_generator() -> Iterator[Any]:
    yield from inner().__await__()


async def generated() -> Any:
    await inner()
    yield


async def outer_by_coroutine() -> None:
    await inner()


async def outer_by_generator() -> None:
    await by_generator()


async def outer_by_asynchronous_generator() -> None:
    async for _ in generated():
        pass


async def outer_by_anext_with_default() -> None:
    await anext(generated(), None)


@pytest.mark.parametrize(
    ("outer", "between"),
    [
        (outer_by_coroutine, []),
        (outer_by_generator, ["by_generator"]),
        (outer_by_asynchronous_generator, ["generated"]),
        (outer_by_anext_with_default, ["generated"]),
    ],
)
def test_the_stack_leads_through_everything_that_can_stand_between(
    outer: Callable[[], Any], between: list[str]
) -> None:
    """Coroutines, generators and asynchronous generators, whatever the interpreter wraps around them."""
    coroutine = suspended(outer())
    functions = [place.function for place in stack_of(coroutine)]
    assert functions == [outer.__name__, *between, "inner", "Stop.__await__"]
    coroutine.close()


def test_the_chain_ends_with_what_is_waited_for() -> None:
    """Which is no coroutine."""

    async def main() -> Any:
        async def waits() -> None:
            await event.wait()

        event = hocket.Event()
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        last = list(chain(task.get_coro()))[-1]
        event.set()
        await task
        return type(last).__name__

    assert hocket.run(main()) == "WaitForEvent"


def test_the_place_in_the_program_is_not_asynios() -> None:
    """The innermost line of the program's own."""

    async def main() -> Any:
        async def waits() -> None:
            await asyncio.wait_for(asyncio.Event().wait(), 30)

        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        place = place_in_program(task.get_coro())
        task.cancel()
        await asyncio.wait([task])
        return place

    place = hocket.run(main())
    assert place.file == __file__
    assert place.function.endswith("waits")


def test_what_has_ended_stands_nowhere() -> None:
    """Neither does what is no coroutine."""
    coroutine = inner()
    coroutine.close()
    assert stack_of(coroutine) == ()
    assert stack_of(None) == ()
    assert place_in_program(None) is None
    assert frame_of(Thing()) is None


# -- Variables


def test_to_look_at_variables_keeps_nothing_alive() -> None:
    """What a coroutine lets go of is gone, although somebody has looked."""

    async def program() -> None:
        thing: Any = Thing()
        references.append(weakref.ref(thing))
        await Stop()
        del thing
        await Stop()

    references: list[Any] = []
    coroutine = suspended(program())
    frame = frame_of(coroutine)
    assert frame is not None
    assert isinstance(locals_of(frame)["thing"], Thing)
    suspended(coroutine)
    assert references[0]() is None
    coroutine.close()


def test_what_a_program_has_asked_for_is_not_emptied() -> None:
    """It may have called `locals` itself, and keep what that gave."""

    async def program() -> None:
        number = 1
        kept.append(locals())
        await Stop()
        assert number

    kept: list[Any] = []
    coroutine = suspended(program())
    frame = frame_of(coroutine)
    assert frame is not None
    assert locals_of(frame)["number"] == 1
    assert kept[0]["number"] == 1
    coroutine.close()


async def looks_afterwards(first: Any, second: Any) -> None:
    del second
    await Stop()
    print(first)


async def looks_before(first: Any, second: Any) -> None:
    print(first, second)
    await Stop()


async def looks_in_a_loop(first: Any, second: Any) -> None:
    while True:
        print(first)
        await Stop()


async def looks_when_it_fails(first: Any, second: Any) -> None:
    try:
        await Stop()
    except ValueError:
        print(first)


async def looks_in_the_end(first: Any, second: Any) -> None:
    try:
        await Stop()
    finally:
        print(first)


async def encloses(first: Any, second: Any) -> None:
    await Stop()
    print(lambda: first)


async def looks_at_all(first: Any, second: Any) -> None:
    await Stop()
    print(locals())


@pytest.mark.parametrize(
    ("program", "used"),
    [
        (looks_afterwards, {"first"}),
        (looks_before, set()),
        (looks_in_a_loop, {"first"}),
        (looks_when_it_fails, {"first"}),
        (looks_in_the_end, {"first"}),
        (encloses, {"first"}),
        (looks_at_all, {"first", "second"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_which_variables_may_still_be_looked_at(program: Callable[..., Any], used: set[str]) -> None:
    """Those that are named in what may run when it goes on; and they are what it holds."""
    first, second = Thing(), Thing()
    coroutine = suspended(program(first, second))
    frame = frame_of(coroutine)
    assert frame is not None
    assert names_in_use(frame) & {"first", "second"} == used
    held = held_by(coroutine)
    reached = {id(thing) for thing in held} | {
        id(thing.cell_contents) for thing in held if isinstance(thing, types.CellType)
    }
    assert [id(thing) in reached for thing in (first, second)] == [name in used for name in ("first", "second")]
    coroutine.close()


def test_what_was_passed_to_a_coroutine_that_has_not_begun() -> None:
    """It will look at it."""
    thing = Thing()
    coroutine = looks_before(thing, None)
    assert any(value is thing for value in held_by(coroutine))
    coroutine.close()


# -- Blocks


@pytest.mark.parametrize("make", [hocket.Semaphore, asyncio.Semaphore, hocket.Lock, asyncio.Lock])
def test_the_blocks_in_which_a_coroutine_stands(make: Callable[[], Any]) -> None:
    """Each is named as often as it has been entered; blocks that are over are not."""

    async def main() -> None:
        primitive, over = make(), make()

        async def program() -> None:
            async with over:
                pass
            async with primitive:
                await asyncio.sleep(30)

        task = asyncio.create_task(program())
        await asyncio.sleep(0)
        entered = primitives_entered(task.get_coro())
        assert [found is primitive for found in entered] == [True]
        task.cancel()
        await asyncio.wait([task])

    hocket.run(main())


def test_a_block_inside_of_what_is_awaited() -> None:
    """The whole chain is looked at."""

    async def main() -> None:
        outer, inner = asyncio.Lock(), asyncio.Lock()

        async def nested() -> None:
            async with inner:
                await asyncio.sleep(30)

        async def program() -> None:
            async with outer:
                await nested()

        task = asyncio.create_task(program())
        await asyncio.sleep(0)
        entered = primitives_entered(task.get_coro())
        assert [found is outer for found in entered] == [True, False]
        assert [found is inner for found in entered] == [False, True]
        task.cancel()
        await asyncio.wait([task])

    hocket.run(main())
