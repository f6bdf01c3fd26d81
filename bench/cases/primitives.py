"""The primitives that tasks meet in: queue, event, lock, semaphore, condition, task group, timeout.

Most cases make tasks wait and wake, which is what a primitive is for; ``queue_100`` and ``lock_free`` are the common
case in which hardly anybody has to wait.
"""

from __future__ import annotations

import asyncio
from typing import Any

from bench.case import InProcess

WIDTH = 1_000
TASKS = 10  # that contend for one lock


async def empty() -> None:
    pass


async def task_group(tasks: int, api: Any) -> None:
    for _ in range(tasks // WIDTH):
        async with api.TaskGroup() as group:
            for _ in range(WIDTH):
                last = group.create_task(empty())
        if not last.done():
            raise RuntimeError("the group ended before its tasks")


async def timeout(times: int, api: Any) -> None:
    for _ in range(times):
        async with api.timeout(60):
            pass


async def time_limit(times: int, api: Any) -> None:
    """The same limit as ``timeout``, in the way that is quickest here: a scope where there is one."""
    if not hasattr(api, "fail_after"):
        await timeout(times, api)
        return
    for _ in range(times):
        with api.fail_after(60):
            pass


async def hand_over(items: int, handed: Any) -> None:
    async def produce() -> None:
        for item in range(items):
            await handed.put(item)

    producer = asyncio.ensure_future(produce())
    total = 0
    for _ in range(items):
        total += await handed.get()
    await producer
    if total != items * (items - 1) // 2:
        raise RuntimeError("what came out of the queue is not what went in")


async def queue(items: int, api: Any) -> None:
    """One place: producer and consumer wait for each other at every item."""
    await hand_over(items, api.Queue(1))


async def queue_100(items: int, api: Any) -> None:
    """A hundred places: each waits once in a hundred items."""
    await hand_over(items, api.Queue(100))


async def event(times: int, api: Any) -> None:
    """Two tasks that set each other's event."""
    events = [api.Event(), api.Event()]

    async def play(mine: int, theirs: int) -> None:
        for _ in range(times // 2):
            await events[mine].wait()
            events[mine].clear()
            events[theirs].set()

    players = [asyncio.ensure_future(play(0, 1)), asyncio.ensure_future(play(1, 0))]
    events[0].set()
    for player in players:
        await player


async def contend(primitive: Any, places: int, times: int, api: Any) -> None:
    inside = 0

    async def hold() -> None:
        nonlocal inside
        for _ in range(times // TASKS):
            async with primitive:
                inside += 1
                if inside > places:
                    raise RuntimeError(f"{inside} tasks hold what has {places} places")
                await api.sleep(0)
                inside -= 1

    for holder in [asyncio.ensure_future(hold()) for _ in range(TASKS)]:
        await holder


async def lock(times: int, api: Any) -> None:
    await contend(api.Lock(), 1, times, api)


async def lock_free(times: int, api: Any) -> None:
    free = api.Lock()
    for _ in range(times):
        async with free:
            pass


async def semaphore(times: int, api: Any) -> None:
    await contend(api.Semaphore(3), 3, times, api)


async def condition(times: int, api: Any) -> None:
    """Two tasks that take turns, each waiting on the condition until it is notified."""
    turn = 0
    changed = api.Condition()

    async def play(mine: int) -> None:
        nonlocal turn
        for _ in range(times // 2):
            async with changed:
                while turn != mine:
                    await changed.wait()
                turn = 1 - mine
                changed.notify()

    for player in [asyncio.ensure_future(play(0)), asyncio.ensure_future(play(1))]:
        await player


async def to_thread(times: int, api: Any) -> None:
    for number in range(times):
        if await api.to_thread(abs, -number) != number:
            raise RuntimeError("another call's result came back")


CASES = (
    InProcess(
        "task_group", "TaskGroup of 1,000 empty coroutines", "task", task_group, 50_000, 3_000, uses=("TaskGroup",)
    ),
    InProcess(
        "timeout", "enter and leave `async with timeout(60)`", "timeout", timeout, 50_000, 2_000, uses=("timeout",)
    ),
    InProcess(
        "time_limit",
        "enter and leave `with fail_after(60)`; without scopes, `async with timeout(60)`",
        "limit",
        time_limit,
        50_000,
        2_000,
        uses=("timeout",),
    ),
    InProcess(
        "queue", "producer and consumer over a queue of one place", "item", queue, 40_000, 2_000, uses=("Queue",)
    ),
    InProcess("event", "two tasks set each other's event", "wake-up", event, 40_000, 2_000, uses=("Event",)),
    InProcess(
        "lock",
        "10 tasks contend for a lock, each yields once with it",
        "lock",
        lock,
        40_000,
        2_000,
        uses=("Lock", "sleep"),
    ),
    InProcess(
        "semaphore",
        "10 tasks, 3 places, each yields once",
        "place",
        semaphore,
        40_000,
        2_000,
        uses=("Semaphore", "sleep"),
    ),
    InProcess("condition", "two tasks take turns", "turn", condition, 20_000, 1_000, uses=("Condition",)),
    InProcess("to_thread", "one after another", "call", to_thread, 4_000, 200, uses=("to_thread",)),
    InProcess("queue_100", "producer and consumer, 100 places", "item", queue_100, 100_000, 4_000, uses=("Queue",)),
    InProcess("lock_free", "enter and leave a lock that is free", "lock", lock_free, 100_000, 4_000, uses=("Lock",)),
)
