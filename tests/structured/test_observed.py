"""What a task is said to wait for when it waits for a channel, a limiter or the tasks of a stream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import hocket
from hocket.observe import primitives, snapshot
from tests.structured.test_channels import start, turns


async def waits_of(task: Any) -> Any:
    """What *task* waits for, by a snapshot."""
    await turns(4)
    (found,) = [facts for facts in snapshot().tasks if facts.number == task._number]
    return found.waits_on


@pytest.mark.parametrize(("method", "what"), [("send", "room of Channel at"), ("receive", "an item of Channel at")])
def test_a_channel_says_what_is_missing(method: str, what: str) -> None:
    """An item, or room for one."""

    async def main() -> Any:
        sender, receiver = hocket.open_channel(0)
        task = start(sender.send(1) if method == "send" else receiver.receive())
        wait = await waits_of(task)
        task.cancel()
        return wait

    wait = hocket.run(main())
    assert wait.kind == "channel" and wait.what.startswith(what)


def test_a_limiter_says_who_has_its_tokens() -> None:
    """The tasks that borrowed them."""

    async def main() -> Any:
        limiter = hocket.CapacityLimiter(1)

        async def hold() -> None:
            async with limiter:
                await asyncio.sleep(100)

        holder = asyncio.create_task(hold(), name="holder")
        await turns()
        task = start(limiter.acquire())
        wait = await waits_of(task)
        assert wait.tasks == (holder._number,)  # type: ignore[attr-defined]
        task.cancel()
        holder.cancel()
        return wait

    wait = hocket.run(main())
    assert wait.kind == "limiter" and wait.what.endswith("held by holder")


def test_primitives_has_channels_and_limiters() -> None:
    """Those that somebody waits for: how full they are, and who has what."""

    async def main() -> list[Any]:
        sender, _receiver = hocket.open_channel(1)
        await sender.send(1)
        limiter = hocket.CapacityLimiter(1)
        await limiter.acquire()
        tasks = [start(sender.send(2)), start(limiter.acquire())]
        await turns()
        found = [facts for facts in primitives() if facts.kind in ("channel", "limiter")]
        mine = asyncio.current_task()._number  # type: ignore[union-attr]
        assert [facts.waiters for facts in found] == [(task._number,) for task in tasks]
        assert [facts.holders for facts in found] == [(), (mine,)]
        for task in tasks:
            task.cancel()
        return [(facts.kind, facts.size, facts.limit, facts.waits, facts.most_waiting) for facts in found]

    assert hocket.run(main()) == [("channel", 1, 1, 1, 1), ("limiter", 0, 1, 1, 1)]


def test_an_amap_says_for_which_calls_it_waits() -> None:
    """And its feeder that it waits for room."""

    async def main() -> tuple[Any, list[str]]:
        async def call(item: int) -> None:
            await asyncio.sleep(100)

        async def consume() -> None:
            async for _ in hocket.amap(call, range(10), max_at_once=2):
                pass

        task = start(consume())
        wait = await waits_of(task)
        others = [facts.waits_on.what for facts in snapshot().tasks if facts.waits_on is not None]
        task.cancel()
        return wait, others

    wait, others = hocket.run(main())
    assert wait.kind == "gather" and len(wait.tasks) == 3
    assert any(what.startswith("room for one more in amap of") for what in others)
