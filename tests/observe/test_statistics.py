"""What the primitives tell of themselves: `statistics` of locks, queues and the like."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

import hocket
from hocket.observe import snapshot

from .programs import scene, settle, start


def number_of(name: str) -> int:
    """The number of the task with this name."""
    [number] = [task.number for task in snapshot().tasks if task.name == name]
    return number


def test_a_lock_nobody_wants() -> None:
    """Nothing has happened yet."""

    async def program() -> None:
        told = hocket.Lock().statistics()
        assert (told.locked, told.holder) == (False, None)
        assert (told.waiting.waiters, told.waiting.most, told.waiting.waits, told.waiting.waited) == ((), 0, 0, 0.0)

    scene(program)


def test_a_lock_knows_its_holder_and_those_who_wait() -> None:
    """In the order in which it will be their turn, by number and name, with the time that they have waited."""

    async def program() -> None:
        lock = hocket.Lock()

        async def hold() -> None:
            async with lock:
                await hocket.sleep(0.05)

        tasks = [asyncio.create_task(hold(), name=f"holder {number}") for number in range(3)]
        await hocket.sleep(0.02)
        told = lock.statistics()
        assert told.locked
        assert told.holder is not None
        assert (told.holder.task, told.holder.name) == (number_of("holder 0"), "holder 0")
        assert [waiter.name for waiter in told.waiting.waiters] == ["holder 1", "holder 2"]
        assert all(0.0 < waiter.waited < 10 for waiter in told.waiting.waiters)
        assert (told.waiting.most, told.waiting.waits) == (2, 2)
        assert told.waiting.waited == pytest.approx(sum(waiter.waited for waiter in told.waiting.waiters))
        await asyncio.gather(*tasks)
        told = lock.statistics()
        assert (told.locked, told.holder, told.waiting.waiters) == (False, None, ())
        assert (told.waiting.most, told.waiting.waits) == (2, 2)
        # The third has waited for as long as one sleep takes, at least.
        assert 0.04 < told.waiting.waited < 20

    scene(program)


def test_a_lock_whose_holder_has_ended() -> None:
    """The number is kept; a name it has no more."""

    async def program() -> None:
        lock = hocket.Lock()

        async def forget() -> None:
            await lock.acquire()

        task = start(forget)
        await settle(2)
        number = number_of("forget") if not task.done() else None
        await task
        told = lock.statistics()
        assert told.holder is not None
        assert told.holder.name is None
        assert number is None or told.holder.task == number

    scene(program)


def test_each_way_to_a_lock_names_its_holder() -> None:
    """At once, after a wait, and after a notification."""

    async def program() -> None:
        condition = hocket.Condition()
        seen = []

        async def user(name: str) -> None:
            async with condition:
                lock = condition.statistics().lock
                assert lock is not None and lock.holder is not None
                seen.append(lock.holder.name == name)
                await condition.wait()
                lock = condition.statistics().lock
                assert lock is not None and lock.holder is not None
                seen.append(lock.holder.name == name)

        names = ["one", "two", "three"]
        tasks = [asyncio.create_task(user(name), name=name) for name in names]
        await settle()
        assert [waiter.name for waiter in condition.statistics().waiting.waiters] == names
        async with condition:
            condition.notify_all()
        await asyncio.gather(*tasks)
        assert seen == [True] * 6
        assert condition.statistics().waiting.waits == 3

    scene(program)


def test_a_task_that_is_cancelled_while_it_waits() -> None:
    """It waits no more; the time that it has waited counts."""

    async def program() -> None:
        lock = hocket.Lock()
        await lock.acquire()
        task = start(lock.acquire)
        await settle(2)
        await hocket.sleep(0.02)
        task.cancel()
        await settle()
        told = lock.statistics()
        assert told.waiting.waiters == ()
        assert (told.waiting.waits, told.waiting.most) == (1, 1)
        assert 0.01 < told.waiting.waited < 10

    scene(program)


def test_an_event_and_a_semaphore() -> None:
    """Their state, and those who wait."""

    async def program() -> None:
        event, semaphore, bounded = hocket.Event(), hocket.Semaphore(1), hocket.BoundedSemaphore(3)
        await semaphore.acquire()
        await bounded.acquire()
        asyncio.create_task(event.wait(), name="listener")
        asyncio.create_task(semaphore.acquire(), name="guest")
        await settle()
        assert [waiter.name for waiter in event.statistics().waiting.waiters] == ["listener"]
        assert not event.statistics().is_set
        told = semaphore.statistics()
        assert (told.value, told.bound, [waiter.name for waiter in told.waiting.waiters]) == (0, None, ["guest"])
        assert (bounded.statistics().value, bounded.statistics().bound) == (2, 3)
        event.set()
        semaphore.release()
        await settle()
        assert event.statistics().is_set
        assert event.statistics().waiting.waiters == semaphore.statistics().waiting.waiters == ()

    scene(program)


def test_a_barrier() -> None:
    """How many have come."""

    async def program() -> None:
        barrier = hocket.Barrier(3)
        tasks = [asyncio.create_task(barrier.wait(), name=f"guest {number}") for number in range(2)]
        await settle()
        told = barrier.statistics()
        assert (told.parties, told.arrived, told.broken) == (3, 2, False)
        assert [waiter.name for waiter in told.waiting.waiters] == ["guest 0", "guest 1"]
        await barrier.wait()
        await asyncio.gather(*tasks)
        assert barrier.statistics().arrived == 0

    scene(program)


@pytest.mark.parametrize("kind", [hocket.Queue, hocket.LifoQueue, hocket.PriorityQueue])
def test_a_queue_knows_how_full_it_was(kind: Any) -> None:
    """At most, whatever became of it."""

    async def program() -> None:
        queue = kind()
        for number in range(7):
            queue.put_nowait(number)
        for _ in range(5):
            queue.get_nowait()
        await queue.put(1)
        told = queue.statistics()
        assert (told.size, told.most, told.maxsize, told.unfinished, told.is_shutdown) == (3, 7, 0, 8, False)

    scene(program)


def test_a_queue_knows_who_waits_at_which_end() -> None:
    """For items, for room, and for the last task_done()."""

    async def program() -> None:
        empty, full = hocket.Queue(), hocket.Queue(maxsize=1)
        full.put_nowait(1)
        for name, awaitable in (("getter", empty.get()), ("putter", full.put(2)), ("joiner", full.join())):
            asyncio.create_task(awaitable, name=name)
        await settle()
        assert [waiter.name for waiter in empty.statistics().getting.waiters] == ["getter"]
        assert [waiter.name for waiter in full.statistics().putting.waiters] == ["putter"]
        assert [waiter.name for waiter in full.statistics().joining.waiters] == ["joiner"]
        await hocket.sleep(0.02)
        empty.put_nowait(1)
        full.get_nowait()
        await settle()
        assert empty.statistics().getting.waiters == full.statistics().putting.waiters == ()
        # Who waited is taken out of the line before he is woken: his time counts all the same.
        assert 0.01 < empty.statistics().getting.waited < 10
        assert 0.01 < full.statistics().putting.waited < 10

    scene(program)


def test_a_queue_of_a_class_of_its_own() -> None:
    """Where its items are is not known, and how many there were at most neither."""

    class Sack(hocket.Queue):
        def _init(self, maxsize: int) -> None:
            self.items: set[Any] = set()

        def _put(self, item: Any) -> None:
            self.items.add(item)

        def _get(self) -> Any:
            return self.items.pop()

        def qsize(self) -> int:
            return len(self.items)

        def empty(self) -> bool:
            return not self.items

    async def program() -> None:
        sack = Sack()
        await sack.put("x")
        told = sack.statistics()
        assert (told.size, told.most) == (1, 0)
        assert await sack.get() == "x"

    scene(program)


def test_a_task_of_asyncios_own_class_waits_too() -> None:
    """By name; times are known of ours alone, and a holder of that class is not known."""

    async def program() -> None:
        lock = hocket.Lock()

        async def use() -> None:
            async with lock:
                await settle(3)

        first = asyncio.Task(use(), name="first")
        second = asyncio.Task(use(), name="second")
        await settle(3)
        told = lock.statistics()
        assert (told.locked, told.holder) == (True, None)
        assert [(waiter.task, waiter.name, waiter.waited) for waiter in told.waiting.waiters] == [(0, "second", 0.0)]
        await asyncio.gather(first, second)

    scene(program)


def test_a_loop_of_asyncios_own() -> None:
    """Everything works there too, without times and holders."""

    async def main() -> None:
        lock = hocket.Lock()

        async def use() -> None:
            async with lock:
                await asyncio.sleep(0.001)

        tasks = [asyncio.create_task(use(), name=f"user {number}") for number in range(2)]
        await settle(3)
        told = lock.statistics()
        assert (told.locked, told.holder, [waiter.name for waiter in told.waiting.waiters]) == (True, None, ["user 1"])
        await asyncio.gather(*tasks)
        assert (lock.statistics().waiting.waits, lock.statistics().waiting.waited) == (1, 0.0)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


def test_statistics_do_not_change() -> None:
    """They say what was so at one moment."""
    told = hocket.Lock().statistics()
    with pytest.raises(dataclasses.FrozenInstanceError):
        told.locked = True  # type: ignore[misc]


def test_a_task_that_is_started_eagerly_and_waits_at_once() -> None:
    """Its wait begins when it was started."""

    async def program() -> None:
        event = hocket.Event()
        loop: Any = asyncio.get_running_loop()
        task = loop.create_task(event.wait(), name="eager", eager_start=True)
        await settle(2)
        [waiter] = event.statistics().waiting.waiters
        assert waiter.waited < 10
        event.set()
        await task
        assert event.statistics().waiting.waited < 10

    scene(program)
