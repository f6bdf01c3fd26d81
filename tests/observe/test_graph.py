"""Deadlocks and leaked tasks: planted ones are found, with names and lines, and healthy programs raise no alarm."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import hocket
from hocket.observe import Findings, Graph, deadlocks, graph

from .programs import either, leaked, names, scene, settle, start


def pictured(planted: Callable[[], Awaitable[Any]], leaks: bool = False) -> Graph:
    """The graph when what *planted* has started has come to where it waits."""

    async def program() -> Graph:
        kept = await planted()
        await settle()
        picture = graph(leaks=leaks)
        del kept
        return picture

    picture: Graph = scene(program)
    return picture


# -- Deadlocks


def crossed(kit: Any) -> tuple[Any, Any]:
    """Two functions that take two locks in opposite order."""
    a, b = kit.Lock(), kit.Lock()

    async def first() -> None:
        async with a:
            await settle(2)
            async with b:
                pass

    async def second() -> None:
        async with b:
            await settle(2)
            async with a:
                pass

    return first, second


@either
def test_two_tasks_and_two_locks(kit: Any) -> None:
    """A/B and B/A: one deadlock of two, with the lines at which they stand and were started."""

    async def planted() -> Any:
        return [start(function) for function in crossed(kit)]

    picture = pictured(planted)
    assert names(picture.deadlocks) == [{"first", "second"}]
    [deadlock] = picture.deadlocks
    for task, other in zip(deadlock.tasks, reversed(deadlock.tasks), strict=True):
        assert task.place is not None and task.place.file == __file__
        assert task.place.function == f"crossed.<locals>.{task.name}"
        assert task.made_at is not None and task.made_at.function.startswith("start")
        assert task.wakers == (other.number,)
    told = str(deadlock)
    assert told.startswith(
        "deadlock: 2 tasks wait for each other\n  first (crossed.<locals>.first) waits for lock: Lock"
    )
    assert "held by second" in told


@either
def test_three_in_a_circle(kit: Any) -> None:
    """In the order in which they wait for each other, the one that was made first at the beginning."""

    async def planted() -> Any:
        locks = [kit.Lock() for _ in range(3)]

        async def philosopher(left: Any, right: Any) -> None:
            async with left:
                await settle(2)
                async with right:
                    pass

        return [
            asyncio.create_task(philosopher(locks[n], locks[(n + 1) % 3]), name=f"philosopher {n}") for n in range(3)
        ]

    [deadlock] = pictured(planted).deadlocks
    assert [task.name for task in deadlock.tasks] == ["philosopher 0", "philosopher 1", "philosopher 2"]


@either
def test_a_lock_that_its_holder_waits_for(kit: Any) -> None:
    """A circle of one."""

    async def twice() -> None:
        lock = kit.Lock()
        async with lock:
            async with lock:
                pass

    async def planted() -> Any:
        return start(twice)

    picture = pictured(planted)
    assert names(picture.deadlocks) == [{"twice"}]
    assert str(picture.deadlocks[0]).startswith("deadlock: a task waits for itself\n")


@either
@pytest.mark.parametrize("way", ["gather", "TaskGroup", "wait"])
def test_waiting_for_oneself_through_a_lock(kit: Any, way: str) -> None:
    """Who holds a lock waits for children, and one of them for the lock."""
    lock = kit.Lock()

    async def child() -> None:
        async with lock:
            pass

    async def parent() -> None:
        async with lock:
            if way == "gather":
                await kit.gather(start(child), kit.sleep(0))
            elif way == "wait":
                await kit.wait([start(child)])
            else:
                async with kit.TaskGroup() as group:
                    group.create_task(child(), name="child")

    async def planted() -> Any:
        return start(parent)

    assert names(pictured(planted).deadlocks) == [{"parent", "child"}]


def test_tasks_that_await_each_other() -> None:
    """Without any primitive."""
    tasks: dict[str, asyncio.Task[None]] = {}

    async def one() -> None:
        await settle(1)
        await asyncio.shield(tasks["other"])

    async def other() -> None:
        await settle(1)
        await asyncio.shield(tasks["one"])

    async def planted() -> Any:
        tasks.update(one=start(one), other=start(other))

    assert names(pictured(planted).deadlocks) == [{"one", "other"}]


def test_a_bounded_semaphore_is_a_lock_of_several() -> None:
    """All its places are known to be taken by tasks that wait for each other."""
    limit = hocket.BoundedSemaphore(2)

    async def greedy() -> None:
        async with limit:
            await settle(2)
            async with limit:
                pass

    async def planted() -> Any:
        return [asyncio.create_task(greedy(), name=f"greedy {number}") for number in range(2)]

    assert len(pictured(planted).deadlocks) >= 1


def test_each_circle_is_reported_once_and_those_who_wait_for_it_are_not() -> None:
    """Whoever waits for a deadlocked task is not part of the deadlock."""

    async def planted() -> Any:
        tasks = [start(function) for function in crossed(hocket)]

        async def victim() -> None:
            await asyncio.gather(*tasks)

        return tasks, start(victim), start(victim)

    assert names(pictured(planted).deadlocks) == [{"first", "second"}]


def test_two_circles_are_two_deadlocks() -> None:
    """Each with its own tasks."""

    async def planted() -> Any:
        return [start(function) for function in (*crossed(hocket), *crossed(asyncio))]

    picture = pictured(planted)
    assert [len(deadlock.tasks) for deadlock in picture.deadlocks] == [2, 2]
    numbers = [task.number for deadlock in picture.deadlocks for task in deadlock.tasks]
    assert len(set(numbers)) == 4


@either
def test_a_timer_can_still_wake_them(kit: Any) -> None:
    """A timeout around one of the two waits, and there is no deadlock."""
    first, second = crossed(kit)

    async def patient() -> None:
        async with kit.timeout(30):
            await first()

    async def planted() -> Any:
        return start(patient), start(second)

    assert pictured(planted).deadlocks == ()


def test_a_lock_that_a_task_from_outside_the_circle_holds() -> None:
    """It sleeps, and will let it go."""

    async def planted() -> Any:
        lock = hocket.Lock()

        async def holder() -> None:
            async with lock:
                await hocket.sleep(30)

        async def user() -> None:
            async with lock:
                pass

        return [start(holder), start(user), start(user)]

    assert pictured(planted).deadlocks == ()


def test_a_finding_is_told_once() -> None:
    """`Findings` remembers; a new one is told again."""

    async def program() -> list[int]:
        findings = Findings()
        told = []
        kept = [start(function) for function in crossed(hocket)]
        await settle()
        told.append(len(findings.fresh(graph(leaks=False))))
        told.append(len(findings.fresh(graph(leaks=False))))
        kept += [start(function) for function in crossed(hocket)]
        await settle()
        told.append(len(findings.fresh(graph(leaks=False))))
        return told

    assert scene(program) == [1, 0, 1]


def test_another_thread_may_ask() -> None:
    """Also while the loop is blocked."""

    async def program() -> Any:
        kept = [start(function) for function in crossed(hocket)]
        await settle()
        found: list[Graph] = []
        thread = threading.Thread(target=lambda: found.append(graph()))
        thread.start()
        thread.join(20)
        del kept
        return names(found[0].deadlocks)

    assert scene(program) == [{"first", "second"}]


# -- Leaked tasks


async def starving(kit: Any) -> None:
    await kit.Queue().get()


async def unresolved() -> None:
    await asyncio.get_running_loop().create_future()


async def unset(kit: Any) -> None:
    await kit.Event().wait()


@either
def test_a_queue_that_nobody_feeds(kit: Any) -> None:
    """Nobody has it but the one who waits."""

    async def planted() -> None:
        start(starving, kit)

    picture = pictured(planted, leaks=True)
    assert picture.searched
    assert leaked(picture) == {"starving"}
    [leak] = picture.leaks
    assert leak.task.place is not None and leak.task.place.function == "starving"
    assert leak.task.made_at is not None
    assert str(leak).startswith(
        "leaked task: nothing can wake it any more\n  starving (starving) waits for queue: an item"
    )


def test_a_future_that_nobody_resolves() -> None:
    """Nobody has it but the one who waits."""

    async def planted() -> None:
        start(unresolved)

    assert leaked(pictured(planted, leaks=True)) == {"unresolved"}


def test_a_task_that_got_lost_in_an_except_pass() -> None:
    """Who has made it does not know of it any more."""

    async def inner() -> None:
        await hocket.Event().wait()

    async def careless() -> None:
        try:
            task = start(inner)
            raise ValueError("before the task is awaited")
            await task
        except Exception:
            pass

    async def planted() -> None:
        await start(careless)

    assert leaked(pictured(planted, leaks=True)) == {"inner"}


def test_a_variable_that_is_not_looked_at_any_more_keeps_nobody_alive() -> None:
    """A function that has the task, or its queue, and goes on without them, will not help."""

    async def planted() -> Graph:
        queue = hocket.Queue()

        async def consumer() -> None:
            await queue.get()

        task = start(consumer)
        assert not task.done()
        await settle()
        return graph()

    assert leaked(scene(planted)) == {"consumer"}


def test_a_variable_that_will_be_looked_at_does() -> None:
    """The same, but the function means to feed it."""

    async def planted() -> Graph:
        queue = hocket.Queue()

        async def consumer() -> None:
            await queue.get()

        start(consumer)
        await settle()
        picture = graph()
        queue.put_nowait(1)
        return picture

    assert leaked(scene(planted)) == set()


def test_who_may_be_cancelled_is_not_leaked() -> None:
    """Somebody keeps the task, and will cancel it."""

    async def planted() -> Graph:
        task = start(unset, hocket)
        await settle()
        picture = graph()
        task.cancel()
        return picture

    assert leaked(scene(planted)) == set()


def test_those_who_wait_for_a_leaked_task_are_named_with_it() -> None:
    """And are no leaks of their own."""

    async def waiting() -> None:
        await start(starving, hocket)

    async def planted() -> None:
        start(waiting)

    [leak] = pictured(planted, leaks=True).leaks
    assert leak.task.name == "starving"
    assert [node.name for node in leak.blocked] == ["waiting"]
    assert str(leak).endswith("and these wait for it: waiting")


def test_a_main_task_that_hangs_for_ever_is_reported() -> None:
    """It waits for a worker, the worker for a queue, and nobody else is there."""
    found: list[Graph] = []

    async def main() -> None:
        queue = hocket.Queue()

        async def worker() -> None:
            await queue.get()

        asyncio.get_running_loop().call_soon(lambda: None)
        thread = threading.Thread(target=look, args=(asyncio.get_running_loop(),))
        thread.start()
        await start(worker)

    def look(loop: Any) -> None:
        try:
            deadline = time.monotonic() + 20
            while states(loop) != ["waiting", "waiting"]:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            found.append(graph())
        finally:
            loop.call_soon_threadsafe(lambda: [task.cancel() for task in loop.live()])

    def states(loop: Any) -> list[str]:
        return [task.state for task in hocket.observe.snapshot().tasks if task.loop == loop._number]

    with pytest.raises(asyncio.CancelledError):
        hocket.run(main())
    assert leaked(found[0]) == {"worker"}


# -- Healthy programs


#: What is kept by a module's variable.
kept_by_the_module: list[Any] = []


async def fed_by_a_variable_of_a_module() -> Any:
    queue = hocket.Queue()
    kept_by_the_module.append(queue)
    start(queue.get)


async def woken_by_a_timer() -> Any:
    event = hocket.Event()
    asyncio.get_running_loop().call_later(30, event.set)

    async def waits() -> None:
        await event.wait()

    start(waits)


async def woken_by_a_closure_of_a_timer() -> Any:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(30, lambda: future.set_result(None))

    async def waits() -> None:
        await future

    start(waits)


async def woken_by_a_reader() -> Any:
    import socket

    left, right = socket.socketpair()
    left.setblocking(False)
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def readable() -> None:
        future.set_result(right)

    loop.add_reader(left.fileno(), readable)

    async def waits() -> None:
        try:
            await future
        finally:
            loop.remove_reader(left.fileno())
            left.close()
            right.close()

    start(waits)


async def producer_and_consumer() -> Any:
    queue = hocket.Queue()

    async def produce() -> None:
        await hocket.sleep(30)
        await queue.put(1)

    async def consume() -> None:
        await queue.get()

    start(produce)
    start(consume)


async def pipeline_of_queues() -> Any:
    queues = [asyncio.Queue[int]() for _ in range(4)]

    async def stage(source: asyncio.Queue[int], sink: asyncio.Queue[int]) -> None:
        while True:
            await sink.put(await source.get())

    for source, sink in itertools.pairwise(queues):
        start(stage, source, sink)

    async def feed() -> None:
        await asyncio.sleep(30)
        await queues[0].put(1)

    start(feed)


async def workers_behind_a_semaphore() -> Any:
    semaphore = hocket.Semaphore(2)

    async def work() -> None:
        async with semaphore:
            await hocket.sleep(30)

    for _ in range(5):
        start(work)


async def publisher_with_weak_subscribers() -> Any:
    import weakref

    subscribers: weakref.WeakSet[Any] = weakref.WeakSet()

    async def subscriber() -> None:
        queue = hocket.Queue()
        subscribers.add(queue)
        await queue.get()

    async def publisher() -> None:
        await hocket.sleep(30)
        for queue in subscribers:
            queue.put_nowait(1)

    start(subscriber)
    start(publisher)


async def an_object_with_methods() -> Any:
    class Service:
        def __init__(self) -> None:
            self.stop = asyncio.Event()
            self.task = asyncio.create_task(self.run())

        async def run(self) -> None:
            await self.stop.wait()

        async def close_later(self) -> None:
            await asyncio.sleep(30)
            self.stop.set()

    start(Service().close_later)


async def a_condition_that_is_notified() -> Any:
    condition = hocket.Condition()

    async def waits() -> None:
        async with condition:
            await condition.wait()

    async def notifies() -> None:
        await hocket.sleep(30)
        async with condition:
            condition.notify_all()

    start(waits)
    start(notifies)


async def a_group_of_sleepers() -> Any:
    async def group() -> None:
        async with hocket.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(hocket.sleep(30))

    start(group)


async def a_thread_that_will_call_back() -> Any:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    end = threading.Event()

    def work() -> None:
        end.wait(20)
        with contextlib.suppress(RuntimeError):  # The loop may have been closed by now.
            loop.call_soon_threadsafe(future.cancel)

    thread = threading.Thread(target=work)
    thread.start()

    async def waits() -> None:
        try:
            await future
        finally:
            end.set()

    start(waits)


HEALTHY = [
    fed_by_a_variable_of_a_module,
    woken_by_a_timer,
    woken_by_a_closure_of_a_timer,
    woken_by_a_reader,
    producer_and_consumer,
    pipeline_of_queues,
    workers_behind_a_semaphore,
    publisher_with_weak_subscribers,
    an_object_with_methods,
    a_condition_that_is_notified,
    a_group_of_sleepers,
    a_thread_that_will_call_back,
]


@pytest.mark.parametrize("program", HEALTHY, ids=lambda program: program.__name__)
def test_a_healthy_program_raises_no_alarm(program: Callable[[], Awaitable[Any]]) -> None:
    """Everybody who waits will be woken."""
    picture = pictured(program, leaks=True)
    assert picture.searched
    assert str(picture) == "no deadlocks, no leaked tasks"
    kept_by_the_module.clear()


def test_a_main_task_that_waits_for_the_end() -> None:
    """``await asyncio.Future()``, so that the server may go on: nobody will resolve it, and nobody has to."""
    found: list[Graph] = []

    async def main() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        asyncio.current_task().set_name("main")  # type: ignore[union-attr]

        def look() -> None:
            found.append(graph())
            for task in loop.live():  # type: ignore[attr-defined]
                task.cancel()

        loop.call_later(0.01, look)
        try:
            await asyncio.Future()
        finally:
            server.close()

    with pytest.raises(asyncio.CancelledError):
        hocket.run(main())
    assert leaked(found[0]) == set()


def test_a_search_that_is_given_up_finds_nothing() -> None:
    """And says so."""

    async def planted() -> Graph:
        start(unresolved)
        await settle()
        return graph(most_objects=100)

    picture = scene(planted)
    assert (picture.leaks, picture.searched) == ((), False)


# -- What could be overlooked


async def fed_from_the_result_of_a_task() -> Any:
    async def make() -> Any:
        return hocket.Queue()

    making = start(make)
    queue = await making

    async def consume(queue: Any) -> None:
        await queue.get()

    async def feed() -> None:
        await hocket.sleep(30)
        making.result().put_nowait(1)

    start(consume, queue)
    start(feed)


def test_what_a_task_has_returned_can_be_reached_through_it() -> None:
    """A task that is done is an object like others."""
    assert leaked(pictured(fed_from_the_result_of_a_task, leaks=True)) == set()


def test_a_loop_of_asyncios_own_in_another_thread() -> None:
    """Its tasks are not known; but what it has is taken into account."""
    ready = threading.Event()
    stop: list[Any] = []

    def start_waiting() -> Callable[[], object]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        async def waits() -> None:
            await future

        start(waits)
        return lambda: loop.call_soon_threadsafe(future.cancel)

    async def planted() -> Graph:
        def other(resolve: Any) -> None:
            async def main() -> None:
                stop.append((asyncio.get_running_loop(), asyncio.Event()))
                ready.set()
                await stop[0][1].wait()
                resolve()

            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(main())

        thread = threading.Thread(target=other, args=(start_waiting(),))
        thread.start()
        while not ready.is_set():
            await asyncio.sleep(0.001)
        await settle()
        picture = graph()
        stop[0][0].call_soon_threadsafe(stop[0][1].set)
        thread.join(20)
        return picture

    assert leaked(scene(planted)) == set()


def test_deadlocks_alone_among_those_who_wait_for_long() -> None:
    """What is younger is passed over."""

    async def program() -> list[int]:
        kept = [start(function) for function in crossed(hocket)]
        await settle()
        await hocket.sleep(0.02)
        told = [len(deadlocks(older_than=30)), len(deadlocks(older_than=0.01)), len(deadlocks(older_than=0))]
        del kept
        return told

    assert scene(program) == [0, 1, 1]


def test_a_lock_whose_holder_has_ended() -> None:
    """Whoever waits for it is said to wait for an abandoned one."""

    async def planted() -> Any:
        lock = hocket.Lock()

        async def careless() -> None:
            await lock.acquire()

        async def waits() -> None:
            async with lock:
                pass

        await start(careless)
        return start(waits)

    picture = pictured(planted)
    [node] = [node for node in picture.nodes if node.name == "waits"]
    assert node.abandoned
    assert node.waits_on is not None and node.waits_on.what.endswith("which has ended")
    assert [other.abandoned for other in picture.nodes if other is not node] == [False] * (len(picture.nodes) - 1)


def test_who_waits_for_whom() -> None:
    """From either end."""

    async def planted() -> Any:
        lock = hocket.Lock()

        async def holder() -> None:
            async with lock:
                await hocket.sleep(30)

        async def user() -> None:
            async with lock:
                pass

        return start(holder), start(user)

    picture = pictured(planted)
    numbers = {node.name: node.number for node in picture.nodes}
    assert picture.node(numbers["user"]).wakers == (numbers["holder"],)
    assert [node.name for node in picture.waiting_for(numbers["holder"])] == ["user"]
    assert picture.node(numbers["holder"]).outside
    with pytest.raises(KeyError, match="no task has the number 0"):
        picture.node(0)
