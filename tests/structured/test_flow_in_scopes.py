"""Channels, limiters and streams inside of cancelled scopes: nothing is lost, and nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import hocket
from tests.structured.test_amap import Busy, nothing_left
from tests.structured.test_channels import start, turns
from tests.virtual import run


def test_a_receive_in_a_cancelled_scope_takes_nothing() -> None:
    """And what has come already, in the turn of the deadline, is not lost."""

    async def main() -> Any:
        sender, receiver = hocket.open_channel(1)
        loop = asyncio.get_running_loop()
        got = []
        loop.call_at(loop.time() + 1, sender.send_nowait, "item")
        with hocket.move_on_after(1) as scope:
            got.append(await receiver.receive())
            await asyncio.sleep(1)
        assert scope.cancelled_caught
        return got or [receiver.receive_nowait()]

    assert run(main()) == ["item"]


def test_a_send_in_a_cancelled_scope_sends_nothing() -> None:
    """Neither while it waits nor later."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(0)
        with hocket.move_on_after(1) as scope:
            await sender.send("item")
        assert scope.cancelled_caught
        with pytest.raises(hocket.WouldBlock):
            receiver.receive_nowait()

    run(main())


def test_an_item_that_was_taken_over_in_the_turn_of_the_deadline_is_sent() -> None:
    """The sender goes on, and is cancelled at its next suspension."""

    async def main() -> list[Any]:
        sender, receiver = hocket.open_channel(0)
        loop = asyncio.get_running_loop()
        log: list[Any] = []
        loop.call_at(loop.time() + 1, lambda: log.append(receiver.receive_nowait()))
        with hocket.move_on_after(1) as scope:
            await sender.send("item")
            log.append("sent")
            await asyncio.sleep(1)
            log.append("not reached")
        assert scope.cancelled_caught
        return log

    assert run(main()) == ["item", "sent"]


def test_a_cancelled_acquire_has_no_token() -> None:
    """By a scope as by `Task.cancel`."""

    async def main() -> None:
        limiter = hocket.CapacityLimiter(1)
        await limiter.acquire_on_behalf_of("holder")
        with hocket.move_on_after(1) as scope:
            await limiter.acquire()
        assert scope.cancelled_caught
        limiter.release_on_behalf_of("holder")
        assert limiter.borrowed_tokens == 0

    run(main())


async def endless() -> AsyncIterator[int]:
    item = 0
    while True:
        await asyncio.sleep(0.1)
        yield item
        item += 1


async def echo(item: Any) -> Any:
    await asyncio.sleep(0.25)
    return item


STREAMS = pytest.mark.parametrize(
    "made",
    [
        lambda: hocket.amap(echo, endless(), max_at_once=3),
        lambda: hocket.amap(echo, range(10**6), max_at_once=3, ordered=True),
        lambda: hocket.merge(endless(), endless()),
        lambda: hocket.batched(endless(), 7, within=0.5),
        lambda: hocket.pipeline(endless(), *(hocket.stage(echo, max_at_once=2) for _ in range(3))),
    ],
    ids=["amap", "amap in order", "merge", "batched", "pipeline"],
)


@STREAMS
@pytest.mark.parametrize("block", [False, True], ids=["plain", "in a block"])
def test_a_stream_in_a_cancelled_scope_has_ended_when_the_scope_has(made: Any, block: bool) -> None:
    """However long its calls take to end."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with hocket.move_on_after(5) as scope:
            if block:
                async with made() as items:
                    async for _ in items:
                        pass
            else:
                async for _ in made():
                    pass
        assert scope.cancelled_caught and loop.time() - began == 5
        assert nothing_left()

    run(main())


def test_calls_that_take_their_time_to_end_are_waited_for_in_a_cancelled_scope() -> None:
    """Without a turn of the loop for nothing."""

    async def main() -> None:
        busy = Busy()

        async def call(item: int) -> None:
            with busy:
                try:
                    await asyncio.sleep(100)
                finally:
                    await asyncio.sleep(50)

        loop: Any = asyncio.get_running_loop()
        with hocket.move_on_after(5) as scope:
            async for _ in hocket.amap(call, range(100), max_at_once=4):
                pass
        assert scope.cancelled_caught
        assert (busy.begun, busy.ended) == (4, 4) and nothing_left()
        assert loop.statistics().turns < 100

    run(main())


@STREAMS
def test_a_stream_in_a_block_is_taken_up_again_after_a_scope(made: Any) -> None:
    """A deadline for one item ends nothing but the wait for it."""

    async def main() -> int:
        got = 0
        async with made() as items:
            while got < 5:
                with hocket.move_on_after(0.04):
                    await anext(items)
                    got += 1
        assert nothing_left()
        return got

    assert run(main()) == 5


def test_a_race_in_a_cancelled_scope_leaves_nobody() -> None:
    """All have ended when the scope has."""

    async def main() -> None:
        with hocket.move_on_after(1) as scope:
            await hocket.race(asyncio.sleep(10), asyncio.sleep(20))
        assert scope.cancelled_caught and nothing_left()

    run(main())


def test_a_worker_pool_in_a_cancelled_scope_leaves_nobody() -> None:
    """Neither workers nor callers."""

    async def main() -> None:
        with hocket.move_on_after(3) as scope:
            async with hocket.WorkerPool(echo, workers=2, capacity=2) as pool:
                for item in range(10**6):
                    await pool.submit(item)
        assert scope.cancelled_caught
        await turns()
        assert nothing_left()
        with hocket.move_on_after(3) as scope:
            async with hocket.WorkerPool(asyncio.sleep, workers=1, capacity=2) as pool:
                call = start(pool.call(100))
                await call
        await asyncio.wait([call])
        assert scope.cancelled_caught and nothing_left()

    run(main())
