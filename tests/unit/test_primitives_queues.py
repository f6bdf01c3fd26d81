"""`hocket.Queue` and its kin, on hocket's loop and on asyncio's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import hocket

from .loops import EVERY, run

EACH_LOOP = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(hocket.Queue, [3, 1, 2]), (hocket.PriorityQueue, [1, 2, 3]), (hocket.LifoQueue, [2, 1, 3])],
)
def test_order(kind: Any, expected: list[int]) -> None:
    """First in first out, smallest first, last in first out."""

    async def main() -> list[int]:
        queue = kind()
        for item in (3, 1, 2):
            await queue.put(item)
        return [await queue.get() for _ in range(3)]

    assert hocket.run(main()) == expected


@EACH_LOOP
def test_full_queue_holds_producers_back(factory: Any) -> None:
    """put() waits for room, and nothing is lost or out of order."""

    async def main() -> list[int]:
        queue, got, largest = hocket.Queue(2), [], 0

        async def producer() -> None:
            nonlocal largest
            for item in range(20):
                await queue.put(item)
                largest = max(largest, queue.qsize())

        task = asyncio.create_task(producer())
        for _ in range(20):
            got.append(await queue.get())
            queue.task_done()
        await task
        await queue.join()
        assert largest == 2
        return got

    assert run(factory, main()) == list(range(20))


@EACH_LOOP
def test_cancelled_get_passes_its_turn_on(factory: Any) -> None:
    """An item that woke a task which is cancelled in that turn goes to the next one who waits."""

    async def main() -> object:
        queue = hocket.Queue()
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await turns()
        queue.put_nowait("item")
        first.cancel()
        got = await second
        assert first.cancelled()
        return got

    assert run(factory, main()) == "item"


@EACH_LOOP
def test_cancelled_put_puts_nothing_in(factory: Any) -> None:
    """Its room goes to the next producer."""

    async def main() -> list[object]:
        queue = hocket.Queue(1)
        queue.put_nowait(0)
        first, second = asyncio.create_task(queue.put(1)), asyncio.create_task(queue.put(2))
        await turns()
        got = [queue.get_nowait()]
        first.cancel()
        await second
        got.append(queue.get_nowait())
        assert queue.empty()
        return got

    assert run(factory, main()) == [0, 2]


@EACH_LOOP
def test_shutdown_wakes_everybody(factory: Any) -> None:
    """Consumers of an empty queue and producers of a full one get QueueShutDown; what is in it can be got."""

    async def main() -> None:
        empty, full = hocket.Queue(), hocket.Queue(1)
        full.put_nowait("last")
        waiting = [asyncio.create_task(empty.get()), asyncio.create_task(full.put("more"))]
        await turns()
        empty.shutdown()
        full.shutdown()
        for task in waiting:
            with pytest.raises(hocket.QueueShutDown):
                await task
        assert await full.get() == "last"
        with pytest.raises(hocket.QueueShutDown):
            full.get_nowait()
        with pytest.raises(hocket.QueueShutDown):
            await full.put("more")

    run(factory, main())


def test_immediate_shutdown_drops_the_items() -> None:
    """join() does not wait for what was dropped."""

    async def main() -> None:
        queue = hocket.Queue()
        queue.put_nowait(1)
        queue.shutdown(immediate=True)
        await queue.join()
        with pytest.raises(hocket.QueueShutDown):
            await queue.get()

    hocket.run(main())


def test_nowait_refuses_instead_of_waiting() -> None:
    """QueueEmpty and QueueFull are asyncio's own classes."""
    queue = hocket.Queue(1)
    with pytest.raises(asyncio.QueueEmpty):
        queue.get_nowait()
    queue.put_nowait(1)
    with pytest.raises(asyncio.QueueFull):
        queue.put_nowait(2)
    with pytest.raises(ValueError, match="too many times"):
        queue.task_done()
        queue.task_done()


def test_subclass_may_keep_its_items_elsewhere() -> None:
    """_init, _put and _get are asked, as in asyncio."""

    class Unique(hocket.Queue):
        def _init(self, maxsize: int) -> None:
            self._queue: set[Any] = set()

        def _put(self, item: Any) -> None:
            self._queue.add(item)

        def _get(self) -> Any:
            return self._queue.pop()

    async def main() -> tuple[int, object]:
        queue = Unique()
        await queue.put("a")
        await queue.put("a")
        return queue.qsize(), await queue.get()

    assert hocket.run(main()) == (1, "a")


def test_shows_what_is_in_it() -> None:
    """repr tells size, items and who waits."""
    queue: hocket.Queue = hocket.Queue(3)
    queue.put_nowait("x")
    assert str(queue) == "<Queue maxsize=3 _queue=['x'] tasks=1>"
