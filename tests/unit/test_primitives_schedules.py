"""Random schedules of tasks, cancellations included: hocket's primitives do what asyncio's do, in the same order."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket

#: What one task does: how many turns before, how many inside; and in which turn it is cancelled, if at all.
plans = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.none() | st.integers(0, 8)), min_size=1, max_size=6)


async def traced(module: Any, plan: list[tuple[int, int, int | None]], body: Any) -> list[str]:
    trace: list[str] = []

    async def worker(number: int, before: int, inside: int) -> None:
        try:
            for _ in range(before):
                await module.sleep(0)
            await body(number, inside, trace)
        except asyncio.CancelledError:
            trace.append(f"{number} cancelled")

    tasks = [asyncio.create_task(worker(number, *step[:2])) for number, step in enumerate(plan)]
    for turn in range(12):
        for task, (_, _, when) in zip(tasks, plan, strict=True):
            if when == turn:
                task.cancel()
        await asyncio.sleep(0)
    for _ in range(60):
        await asyncio.sleep(0)
    for number, task in enumerate(tasks):
        if not task.done():
            trace.append(f"{number} stuck")
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return trace


def lock_trace(module: Any, plan: list[tuple[int, int, int | None]]) -> list[str]:
    async def main() -> list[str]:
        lock = module.Lock()

        async def body(number: int, inside: int, trace: list[str]) -> None:
            async with lock:
                trace.append(f"{number} in")
                for _ in range(inside):
                    await module.sleep(0)
            trace.append(f"{number} out")

        return [*await traced(module, plan, body), str(lock.locked())]

    return hocket.run(main())


def queue_trace(module: Any, plan: list[tuple[int, int, int | None]]) -> list[str]:
    async def main() -> list[str]:
        queue = module.Queue(1)

        async def body(number: int, inside: int, trace: list[str]) -> None:
            if number % 2:
                for _ in range(inside + 1):
                    trace.append(f"{number} got {await queue.get()}")
            else:
                for item in range(inside + 1):
                    await queue.put((number, item))
                    trace.append(f"{number} put {item}")

        return [*await traced(module, plan, body), str(queue.qsize())]

    return hocket.run(main())


def event_trace(module: Any, plan: list[tuple[int, int, int | None]]) -> list[str]:
    async def main() -> list[str]:
        event = module.Event()

        async def body(number: int, inside: int, trace: list[str]) -> None:
            if inside == 0:
                event.set()
            elif inside == 1:
                event.clear()
            else:
                await event.wait()
                trace.append(f"{number} woken")

        return await traced(module, plan, body)

    return hocket.run(main())


def semaphore_trace(module: Any, plan: list[tuple[int, int, int | None]]) -> list[str]:
    async def main() -> list[str]:
        semaphore = module.Semaphore(2)

        async def body(number: int, inside: int, trace: list[str]) -> None:
            async with semaphore:
                trace.append(f"{number} in {semaphore.locked()}")
                for _ in range(inside):
                    await module.sleep(0)
            trace.append(f"{number} out")

        trace = await traced(module, plan, body)
        left = 0
        while not semaphore.locked():
            await semaphore.acquire()
            left += 1
        return [*trace, str(left)]

    return hocket.run(main())


def condition_trace(module: Any, plan: list[tuple[int, int, int | None]]) -> list[str]:
    async def main() -> list[str]:
        condition = module.Condition()

        async def body(number: int, inside: int, trace: list[str]) -> None:
            async with condition:
                trace.append(f"{number} in")
                if inside == 0:
                    condition.notify()
                elif inside == 1:
                    condition.notify_all()
                else:
                    await condition.wait()
                    trace.append(f"{number} notified {condition.locked()}")
                    await module.sleep(0)
            trace.append(f"{number} out")

        return [*await traced(module, plan, body), str(condition.locked())]

    return hocket.run(main())


@settings(max_examples=60)
@given(plans)
def test_lock_schedules(plan: list[tuple[int, int, int | None]]) -> None:
    """Who has the lock, in which order, and whether it is free in the end."""
    assert lock_trace(hocket, plan) == lock_trace(asyncio, plan)


@settings(max_examples=60)
@given(plans)
def test_queue_schedules(plan: list[tuple[int, int, int | None]]) -> None:
    """Who puts and gets what, in which order, and what is left."""
    assert queue_trace(hocket, plan) == queue_trace(asyncio, plan)


@settings(max_examples=60)
@given(plans)
def test_event_schedules(plan: list[tuple[int, int, int | None]]) -> None:
    """Who is woken, in which order."""
    assert event_trace(hocket, plan) == event_trace(asyncio, plan)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="a cancelled wait lets those behind it in from Python 3.13 on")
@settings(max_examples=60)
@given(plans)
def test_semaphore_schedules(plan: list[tuple[int, int, int | None]]) -> None:
    """Who has a place, in which order, and how many places are left."""
    assert semaphore_trace(hocket, plan) == semaphore_trace(asyncio, plan)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="a cancelled wait passes its notice on from Python 3.13 on")
@settings(max_examples=60)
@given(plans)
def test_condition_schedules(plan: list[tuple[int, int, int | None]]) -> None:
    """Who is notified, in which order, and whether the lock is free in the end."""
    assert condition_trace(hocket, plan) == condition_trace(asyncio, plan)


def test_a_cancelled_wait_for_a_semaphore_lets_those_behind_it_in() -> None:
    """At once, on every Python: none waits for a place that is free."""
    plan: list[tuple[int, int, int | None]] = [(0, 1, None), (0, 1, None), (0, 0, None), (0, 0, 1), (1, 0, 2)]
    expected = ["0 in False", "1 in True", "0 out", "1 out", "3 cancelled", "2 in True", "2 out", "4 cancelled", "2"]
    assert semaphore_trace(hocket, plan) == expected
