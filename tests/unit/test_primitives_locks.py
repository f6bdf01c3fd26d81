"""`hocket.Lock`, `Event`, `Condition`, `Semaphore` and `Barrier`, on hocket's loop and on asyncio's."""

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


@EACH_LOOP
def test_lock_goes_round_in_the_order_of_arrival(factory: Any) -> None:
    """First come, first served."""

    async def main() -> list[int]:
        lock, order = hocket.Lock(), []

        async def worker(number: int) -> None:
            async with lock:
                order.append(number)
                await hocket.sleep(0)

        await hocket.gather(*(worker(number) for number in range(10)))
        return order

    assert run(factory, main()) == list(range(10))


@EACH_LOOP
def test_cancelled_waiter_leaves_the_lock_to_the_next(factory: Any) -> None:
    """Cancelled in the very turn in which it was to get the lock, the next one gets it."""

    async def main() -> bool:
        lock = hocket.Lock()
        await lock.acquire()
        first = asyncio.create_task(lock.acquire())
        second = asyncio.create_task(lock.acquire())
        await turns()
        lock.release()
        first.cancel()
        result: bool = await second
        assert first.cancelled()
        return result

    assert run(factory, main()) is True


def test_release_of_a_free_lock_is_refused() -> None:
    """RuntimeError, in asyncio's words."""
    with pytest.raises(RuntimeError, match="Lock is not acquired"):
        hocket.Lock().release()


def test_entering_takes_the_lock_only_when_awaited() -> None:
    """wait_for(lock.__aenter__(), 0) gives up without having taken it."""

    async def main() -> bool:
        lock = hocket.Lock()
        with pytest.raises(TimeoutError):
            await hocket.wait_for(lock.__aenter__(), 0)
        return lock.locked()

    assert hocket.run(main()) is False


def test_primitive_is_bound_to_the_first_loop_it_waited_on() -> None:
    """Waiting on another loop is refused; not waiting is not."""
    lock = hocket.Lock()

    async def contend() -> None:
        await lock.acquire()
        task = asyncio.create_task(lock.acquire())
        await turns()
        lock.release()
        await task
        lock.release()

    hocket.run(contend())
    with pytest.raises(RuntimeError, match="is bound to a different event loop"):
        hocket.run(contend())


def test_subclass_may_override_acquire_and_release() -> None:
    """`async with` of a subclass goes through its methods."""
    calls = []

    class Loud(hocket.Lock):
        async def acquire(self) -> bool:  # type: ignore[override]
            calls.append("acquire")
            return await super().acquire()

        def release(self) -> None:
            calls.append("release")
            super().release()

    async def main() -> None:
        async with Loud():
            pass

    hocket.run(main())
    assert calls == ["acquire", "release"]


@EACH_LOOP
def test_event_wakes_everybody(factory: Any) -> None:
    """set() wakes all who wait, and later waits do not wait."""

    async def main() -> list[bool]:
        event = hocket.Event()
        tasks = [asyncio.create_task(event.wait()) for _ in range(5)]
        await turns()
        assert not any(task.done() for task in tasks)
        event.set()
        return [*(await asyncio.gather(*tasks)), await event.wait()]

    assert run(factory, main()) == [True] * 6


@EACH_LOOP
def test_semaphore_lets_in_as_many_as_it_says(factory: Any) -> None:
    """Never more at a time, and all of them in the end."""

    async def main() -> tuple[int, int]:
        semaphore, inside, most, done = hocket.Semaphore(3), 0, 0, 0

        async def worker() -> None:
            nonlocal inside, most, done
            async with semaphore:
                inside += 1
                most = max(most, inside)
                await hocket.sleep(0)
                inside -= 1
                done += 1

        await hocket.gather(*(worker() for _ in range(20)))
        return most, done

    assert run(factory, main()) == (3, 20)


@EACH_LOOP
def test_cancelled_waiter_gives_its_place_back(factory: Any) -> None:
    """A place that was given to a task that is cancelled goes to the next."""

    async def main() -> None:
        semaphore = hocket.Semaphore(1)
        await semaphore.acquire()
        first = asyncio.create_task(semaphore.acquire())
        second = asyncio.create_task(semaphore.acquire())
        await turns()
        semaphore.release()
        first.cancel()
        assert await second is True
        assert semaphore.locked()
        semaphore.release()
        assert not semaphore.locked()

    run(factory, main())


def test_bounded_semaphore_refuses_a_release_too_many() -> None:
    """ValueError, also at the end of `async with`."""

    async def main() -> None:
        semaphore = hocket.BoundedSemaphore(1)
        with pytest.raises(ValueError, match="released too many times"):
            async with semaphore:
                semaphore.release()

    hocket.run(main())


def test_negative_semaphore_is_refused() -> None:
    """ValueError when it is made."""
    with pytest.raises(ValueError, match=">= 0"):
        hocket.Semaphore(-1)


@EACH_LOOP
@pytest.mark.parametrize("lock", [hocket.Lock, asyncio.Lock])
def test_condition_passes_a_notice(factory: Any, lock: Any) -> None:
    """wait() gives the lock away and has it again afterwards; over hocket's lock and over asyncio's."""

    async def main() -> list[str]:
        condition, trace = hocket.Condition(lock()), []

        async def waiter() -> None:
            async with condition:
                trace.append("waits")
                assert await condition.wait() is True
                assert condition.locked()
                trace.append("woken")

        task = asyncio.create_task(waiter())
        await turns()
        async with condition:
            trace.append("notifies")
            condition.notify()
            await turns()
            trace.append("leaves")
        await task
        return trace

    assert run(factory, main()) == ["waits", "notifies", "leaves", "woken"]


@EACH_LOOP
def test_cancelled_wait_has_the_lock_and_passes_the_notice_on(factory: Any) -> None:
    """A waiter that is notified and cancelled in one turn raises with the lock held, and another is woken."""

    async def main() -> None:
        condition, held = hocket.Condition(), []

        async def waiter() -> str:
            async with condition:
                try:
                    await condition.wait()
                except asyncio.CancelledError:
                    held.append(condition.locked())
                    raise
                return "woken"

        first, second = asyncio.create_task(waiter()), asyncio.create_task(waiter())
        await turns()
        async with condition:
            condition.notify()
            first.cancel()
        assert await second == "woken"
        assert first.cancelled()
        assert held == [True]
        assert not condition.locked()

    run(factory, main())


def test_condition_without_the_lock_is_refused() -> None:
    """wait() and notify() need the lock."""

    async def main() -> None:
        condition = hocket.Condition()
        with pytest.raises(RuntimeError, match="cannot wait on un-acquired lock"):
            await condition.wait()
        with pytest.raises(RuntimeError, match="cannot notify on un-acquired lock"):
            condition.notify()

    hocket.run(main())


@EACH_LOOP
def test_condition_waits_for_a_predicate(factory: Any) -> None:
    """wait_for() gives what the predicate gave in the end."""

    async def main() -> object:
        condition, items = hocket.Condition(), []

        async def producer() -> None:
            for item in "ab":
                async with condition:
                    items.append(item)
                    condition.notify_all()
                await hocket.sleep(0)

        task = asyncio.create_task(producer())
        async with condition:
            got = await condition.wait_for(lambda: items[1:])
        await task
        return got

    assert run(factory, main()) == ["b"]


@EACH_LOOP
def test_barrier_lets_all_go_together(factory: Any) -> None:
    """Nobody is past before all have come, and each has a number of its own."""

    async def main() -> list[int]:
        barrier, past = hocket.Barrier(3), []

        async def worker() -> None:
            past.append(await barrier.wait())

        tasks = [asyncio.create_task(worker()) for _ in range(2)]
        await turns(5)
        assert past == []
        assert barrier.n_waiting == 2
        await worker()
        await asyncio.gather(*tasks)
        return sorted(past)

    assert run(factory, main()) == [0, 1, 2]


def test_aborted_barrier_breaks_who_waits() -> None:
    """BrokenBarrierError, until reset."""

    async def main() -> None:
        barrier = hocket.Barrier(2)
        task = asyncio.create_task(barrier.wait())
        await turns()
        await barrier.abort()
        with pytest.raises(asyncio.BrokenBarrierError):
            await task
        assert barrier.broken

    hocket.run(main())
