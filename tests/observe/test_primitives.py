"""The primitives that somebody waits for or holds."""

from __future__ import annotations

import asyncio
from typing import Any

import hocket
from hocket.observe import PrimitiveFacts, primitives, snapshot

from .programs import either, scene, settle


def found(planted: Any) -> tuple[tuple[PrimitiveFacts, ...], dict[int, str]]:
    """What there is when what *planted* has started has come to where it waits, and the names of the tasks."""

    async def program() -> Any:
        kept = await planted()
        await settle()
        names = {task.number: task.name for task in snapshot().tasks}
        facts = primitives()
        del kept
        return facts, names

    result: tuple[tuple[PrimitiveFacts, ...], dict[int, str]] = scene(program)
    return result


@either
def test_a_lock_that_some_want(kit: Any) -> None:
    """Who holds it, and who waits, in the order of arrival."""

    async def planted() -> Any:
        lock = kit.Lock()

        async def use() -> None:
            async with lock:
                await kit.sleep(30)

        return [asyncio.create_task(use(), name=f"user {number}") for number in range(3)]

    [facts], names = found(planted)
    assert (facts.kind, facts.what.startswith("Lock at 0x")) == ("lock", True)
    assert [names[number] for number in facts.holders] == ["user 0"]
    assert [names[number] for number in facts.waiters] == ["user 1", "user 2"]
    assert (facts.waits, facts.most_waiting) == ((2, 2) if kit is hocket else (0, 0))


@either
def test_a_semaphore_that_is_held_and_nobody_waits_for(kit: Any) -> None:
    """Who stands inside, and how many places are free."""

    async def planted() -> Any:
        semaphore = kit.BoundedSemaphore(3)

        async def use() -> None:
            async with semaphore:
                await kit.sleep(30)

        return [asyncio.create_task(use(), name=f"user {number}") for number in range(2)]

    [facts], names = found(planted)
    assert [names[number] for number in facts.holders] == ["user 0", "user 1"]
    assert (facts.kind, facts.size, facts.limit, facts.waiters) == ("semaphore", 1, 3, ())


@either
def test_a_queue_that_is_full(kit: Any) -> None:
    """How many items are in it, and how many fit."""

    async def planted() -> Any:
        queue = kit.Queue(maxsize=2)

        async def produce() -> None:
            for number in range(5):
                await queue.put(number)

        return asyncio.create_task(produce(), name="producer")

    [facts], names = found(planted)
    assert (facts.kind, facts.size, facts.limit, facts.holders) == ("queue", 2, 2, ())
    assert [names[number] for number in facts.waiters] == ["producer"]


@either
def test_those_without_a_holder(kit: Any) -> None:
    """Event and condition."""

    async def planted() -> Any:
        condition = kit.Condition()

        async def waits() -> None:
            async with condition:
                await condition.wait()

        return asyncio.create_task(kit.Event().wait()), asyncio.create_task(waits())

    facts, _ = found(planted)
    assert sorted(fact.kind for fact in facts) == ["condition", "event"]
    assert [len(fact.waiters) for fact in facts] == [1, 1]
