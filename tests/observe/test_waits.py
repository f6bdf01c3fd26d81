"""What a snapshot says that a task waits for: every kind, of hocket's primitives and of asyncio's own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import hocket
from hocket.observe import WaitFacts, snapshot

from .programs import either, scene, settle


def waits(program: Callable[[], Awaitable[Any]], name: str = "waiter", turns: int = 20) -> WaitFacts:
    """What a task of this *name* waits for that runs *program*, or is started by it."""

    async def planted() -> WaitFacts:
        task = asyncio.create_task(_run(program), name="waiter")
        await settle(turns)
        [found] = [facts.waits_on for facts in snapshot().tasks if facts.name == name]
        for other in asyncio.all_tasks() - {asyncio.current_task()}:
            other.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert found is not None
        return found

    found: WaitFacts = scene(planted)
    return found


async def _run(program: Callable[[], Awaitable[Any]]) -> None:
    await program()


@either
def test_sleep_is_a_timer_with_its_due_time(kit: Any) -> None:
    """Seconds that are left."""
    wait = waits(lambda: kit.sleep(30))
    assert (wait.kind, wait.what) == ("timer", "sleep")
    assert wait.due is not None and 20 < wait.due <= 30


@either
def test_a_lock_names_its_holder(kit: Any) -> None:
    """By number, and in words."""

    async def program() -> None:
        lock = kit.Lock()

        async def hold() -> None:
            async with lock:
                await kit.sleep(30)

        holder = asyncio.create_task(hold(), name="holder")
        await settle()
        try:
            async with lock:
                pass
        finally:
            holder.cancel()

    wait = waits(program, turns=50)
    assert wait.kind == "lock"
    assert len(wait.tasks) == 1
    assert "held by holder" in wait.what


def test_a_lock_of_ours_knows_who_acquired_it_without_a_block() -> None:
    """`acquire` and `release`, with no ``async with`` around."""

    async def program() -> None:
        lock = hocket.Lock()

        async def hold() -> None:
            await lock.acquire()
            await hocket.sleep(30)

        holder = asyncio.create_task(hold(), name="holder")
        await settle()
        try:
            await lock.acquire()
        finally:
            holder.cancel()

    assert "held by holder" in waits(program, turns=50).what


@either
def test_those_who_wait_do_not_count_as_holders(kit: Any) -> None:
    """They stand in a block, too: the one they are about to enter."""

    async def planted() -> list[tuple[int, ...]]:
        lock = kit.Lock()

        async def user() -> None:
            async with lock:
                await kit.sleep(30)

        tasks = [asyncio.create_task(user(), name=f"user {number}") for number in range(4)]
        await settle()
        assert len(tasks) == 4
        facts = {task.name: task for task in snapshot().tasks}
        return [facts["user 0"].number], [facts[f"user {n}"].waits_on.tasks for n in (1, 2, 3)]  # type: ignore

    [first], others = scene(planted)
    assert others == [(first,)] * 3


@either
def test_a_semaphore_names_those_inside(kit: Any) -> None:
    """All that stand in a block of its."""

    async def program() -> None:
        semaphore = kit.Semaphore(2)

        async def inside() -> None:
            async with semaphore:
                await kit.sleep(30)

        tasks = [asyncio.create_task(inside(), name=f"inside {number}") for number in range(2)]
        await settle()
        try:
            async with semaphore:
                pass
        finally:
            for task in tasks:
                task.cancel()

    wait = waits(program, turns=50)
    assert (wait.kind, len(wait.tasks)) == ("semaphore", 2)
    assert "held by inside 0, inside 1" in wait.what


@either
@pytest.mark.parametrize(("method", "end"), [("get", "an item of Queue"), ("put", "room of Queue")])
def test_a_queue_says_what_is_missing(kit: Any, method: str, end: str) -> None:
    """An item, or room for one."""

    async def program() -> None:
        queue = kit.Queue(maxsize=1)
        if method == "put":
            queue.put_nowait(1)
            await queue.put(2)
        else:
            await queue.get()

    wait = waits(program)
    assert wait.kind == "queue"
    assert wait.what.startswith(end)


@either
def test_queue_join_is_a_queue(kit: Any) -> None:
    """Although what waits inside is an event."""

    async def program() -> None:
        queue = kit.Queue()
        queue.put_nowait(1)
        await queue.join()

    wait = waits(program)
    assert wait.kind == "queue"
    assert wait.what.startswith("task_done() of Queue")


@either
@pytest.mark.parametrize("kind", ["event", "condition", "barrier"])
def test_primitives_without_a_holder(kit: Any, kind: str) -> None:
    """Event, condition and barrier are called what they are."""

    async def program() -> None:
        if kind == "event":
            await kit.Event().wait()
        elif kind == "barrier":
            await kit.Barrier(2).wait()
        else:
            condition = kit.Condition()
            async with condition:
                await condition.wait_for(lambda: False)

    wait = waits(program)
    assert wait.kind == kind
    assert wait.what.startswith(kind.capitalize())


@either
def test_who_was_notified_waits_for_the_lock(kit: Any) -> None:
    """`Condition.wait` is a wait for the lock in the end, and whoever holds it is named."""

    async def program() -> None:
        condition = kit.Condition()

        async def notifier() -> None:
            async with condition:
                condition.notify()
                await kit.sleep(30)

        async def start_notifier() -> None:
            await settle(2)
            await notifier()

        task = asyncio.create_task(start_notifier(), name="notifier")
        try:
            async with condition:
                await condition.wait()
        finally:
            task.cancel()

    wait = waits(program)
    assert wait.kind == "lock"
    assert "held by notifier" in wait.what


@either
def test_gather_names_the_children_that_are_not_done(kit: Any) -> None:
    """Tasks among them by number; plain futures count."""

    async def program() -> None:
        child = asyncio.create_task(kit.sleep(30), name="child")
        await kit.gather(child, kit.sleep(0), asyncio.get_running_loop().create_future())

    wait = waits(program)
    assert wait.kind == "gather"
    assert wait.what == "2 of 3: child"
    assert len(wait.tasks) == 1


@either
def test_a_group_names_its_tasks(kit: Any) -> None:
    """Those that are not done."""

    async def program() -> None:
        async with kit.TaskGroup() as group:
            group.create_task(kit.sleep(30), name="one")
            group.create_task(kit.sleep(0), name="other")

    wait = waits(program)
    assert wait.kind == "gather"
    assert "one" in wait.what and "other" not in wait.what


@either
@pytest.mark.parametrize("when", [asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED])
def test_wait_names_what_it_waits_for(kit: Any, when: str) -> None:
    """And says if the first is enough."""

    async def program() -> None:
        tasks = [asyncio.create_task(kit.sleep(30), name=f"sleeper {number}") for number in range(2)]
        await kit.wait(tasks, return_when=when)

    wait = waits(program)
    assert wait.kind == "gather"
    assert wait.what.startswith("first of 2" if when == asyncio.FIRST_COMPLETED else "2: ")
    assert len(wait.tasks) == 2


@either
def test_shield_names_what_it_shields(kit: Any) -> None:
    """The task behind it."""

    async def program() -> None:
        task = asyncio.create_task(kit.sleep(30), name="shielded")
        await kit.shield(task)

    wait = waits(program)
    assert (wait.kind, wait.what) == ("gather", "shield of 1: shielded")


def test_a_task_that_is_awaited() -> None:
    """By name and number."""

    async def program() -> None:
        await asyncio.create_task(asyncio.sleep(30), name="other")

    wait = waits(program)
    assert (wait.kind, wait.what, len(wait.tasks)) == ("task", "task other", 1)


def test_a_task_of_asyncios_own_class() -> None:
    """It has a number, too: a negative one."""

    async def program() -> None:
        await asyncio.Task(asyncio.sleep(30), name="stock")

    wait = waits(program)
    assert (wait.kind, wait.what) == ("task", "task stock")
    assert wait.tasks[0] < 0


@either
def test_a_timeout_around_a_wait_is_its_due_time(kit: Any) -> None:
    """A timer will end it, whatever it waits for."""

    async def program() -> None:
        async with kit.timeout(30):
            await kit.Event().wait()

    wait = waits(program)
    assert wait.kind == "event"
    assert wait.due is not None and 20 < wait.due <= 30


@either
def test_wait_for_on_a_future_has_a_due_time(kit: Any) -> None:
    """The one of its timeout."""

    async def program() -> None:
        await kit.wait_for(asyncio.get_running_loop().create_future(), 30)

    wait = waits(program)
    assert wait.kind == "future"
    assert wait.due is not None and 20 < wait.due <= 30


def test_a_plain_future() -> None:
    """Nothing more is known of it."""

    async def program() -> None:
        await asyncio.get_running_loop().create_future()

    wait = waits(program)
    assert wait.kind == "future"
    assert wait.what.startswith("Future at 0x")


def test_a_socket_to_be_read() -> None:
    """Its descriptor, and which way."""
    left, right = socket.socketpair()
    left.setblocking(False)
    with left, right:
        descriptor = left.fileno()
        wait = waits(lambda: asyncio.get_running_loop().sock_recv(left, 10))
    assert (wait.kind, wait.descriptor) == ("readable", descriptor)


def test_a_socket_to_be_written() -> None:
    """Its descriptor, and which way."""
    left, right = socket.socketpair()
    left.setblocking(False)
    with left, right:
        descriptor = left.fileno()
        wait = waits(lambda: asyncio.get_running_loop().sock_sendall(left, bytes(16 << 20)))
    assert (wait.kind, wait.descriptor) == ("writable", descriptor)


@either
@pytest.mark.parametrize("direction", ["readable", "writable"])
def test_a_stream(kit: Any, direction: str) -> None:
    """The descriptor of its transport."""

    async def planted() -> tuple[WaitFacts, int]:
        left, right = socket.socketpair()
        reader, writer = await kit.open_connection(sock=left)

        async def use() -> None:
            if direction == "readable":
                await reader.readline()
            else:
                writer.write(bytes(16 << 20))
                await writer.drain()

        task = asyncio.create_task(use(), name="user")
        await settle()
        [wait] = [facts.waits_on for facts in snapshot().tasks if facts.name == "user"]
        descriptor = left.fileno()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        writer.transport.abort()
        right.close()
        await settle()
        assert wait is not None
        return wait, descriptor

    wait, descriptor = scene(planted)
    assert (wait.kind, wait.descriptor) == (direction, descriptor)
    assert wait.what.startswith("StreamReader." if direction == "readable" else "StreamWriter.")


@either
@pytest.mark.parametrize("way", ["to_thread", "run_in_executor"])
def test_a_call_in_a_thread(kit: Any, way: str) -> None:
    """Which thread, and where that stands."""
    go = threading.Event()

    async def planted() -> WaitFacts:
        begun = threading.Event()

        def work() -> None:
            begun.set()
            go.wait(20)

        async def call() -> None:
            if way == "to_thread":
                await kit.to_thread(work)
            else:
                await asyncio.get_running_loop().run_in_executor(None, work)

        task = asyncio.create_task(call(), name="caller")
        while not begun.is_set():
            await asyncio.sleep(0.001)
        [wait] = [facts.waits_on for facts in snapshot().tasks if facts.name == "caller"]
        go.set()
        await task
        assert wait is not None
        return wait

    wait = scene(planted)
    assert wait.kind == "thread"
    assert "a call in thread asyncio_0" in wait.what


def test_a_call_that_no_thread_has_begun() -> None:
    """It waits for a thread to be free."""
    go = threading.Event()

    async def planted() -> list[str]:
        import concurrent.futures

        loop = asyncio.get_running_loop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            futures = [loop.run_in_executor(pool, go.wait, 20) for _ in range(2)]

            async def wait_for(future: Any) -> None:
                await future

            tasks = [asyncio.create_task(wait_for(future), name=f"caller {n}") for n, future in enumerate(futures)]
            await settle()
            found = [facts.waits_on.what for facts in snapshot().tasks if facts.name == "caller 1"]  # type: ignore
            go.set()
            await asyncio.gather(*tasks)
        return found

    assert scene(planted) == ["a call in a thread, which has not begun"]


def test_a_child_process() -> None:
    """Its number."""

    async def planted() -> tuple[WaitFacts, int]:
        process = await asyncio.create_subprocess_exec("sleep", "30")

        async def wait() -> None:
            await process.wait()

        task = asyncio.create_task(wait(), name="parent")
        await settle()
        [found] = [facts.waits_on for facts in snapshot().tasks if facts.name == "parent"]
        process.kill()
        await task
        assert found is not None
        return found, process.pid

    wait, pid = scene(planted)
    assert (wait.kind, wait.what) == ("process", f"process {pid}")


@either
def test_as_completed_names_those_that_are_left(kit: Any) -> None:
    """Or, up to Python 3.12, the queue that asyncio's has inside."""

    async def program() -> None:
        tasks = [asyncio.create_task(asyncio.sleep(30), name=f"sleeper {number}") for number in range(2)]
        for completed in kit.as_completed(tasks):
            await completed

    wait = waits(program)
    if kit is hocket or hasattr(asyncio.tasks, "_AsCompletedIterator"):
        assert (wait.kind, len(wait.tasks)) == ("gather", 2)
    else:
        assert wait.kind == "queue"


def test_a_wait_inside_of_an_asynchronous_generator() -> None:
    """The way to it leads through what the interpreter puts in between."""

    async def program() -> None:
        queue: Any = asyncio.Queue()

        async def items() -> Any:
            while True:
                yield await queue.get()

        async for _ in items():
            pass

    assert waits(program).kind == "queue"


def test_nothing_of_the_programs_runs() -> None:
    """A ``__repr__`` that fails, or tells the world, is not called: a queue is not said by what it holds."""

    class Loud:
        def __repr__(self) -> str:
            raise AssertionError("somebody has looked")

    async def program() -> None:
        queue = hocket.Queue(maxsize=1)
        queue.put_nowait(Loud())
        await queue.put(Loud())

    assert waits(program).kind == "queue"
