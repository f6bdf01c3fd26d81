"""Warnings: every kind of trouble, planted, is found and named; a healthy program is left in peace."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hocket
from hocket.observe import doctor, looks, watchdog
from hocket.observe.warnings import LINTS, Rules, Trouble, troubles

Program = Callable[[], Awaitable[Any]]


@contextlib.contextmanager
def running(program: Program) -> Iterator[None]:
    """*program* in a thread of its own, until the block ends."""
    loops: list[Any] = []
    begun = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        loops.append((loop, stop))
        body = asyncio.create_task(program(), name="program")  # type: ignore[arg-type]
        await asyncio.sleep(0)
        begun.set()
        await stop.wait()
        body.cancel()
        await asyncio.gather(body, return_exceptions=True)

    thread = threading.Thread(target=lambda: hocket.run(main()), daemon=True)
    thread.start()
    assert begun.wait(20)
    try:
        yield
    finally:
        (loop, stop) = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        assert not thread.is_alive()


def examined(program: Program, *rules: str, seconds: float = 0.3) -> list[Trouble]:
    """What the doctor finds while *program* runs; *rules* are words for -W."""
    with running(program):
        return doctor.examine(Rules().of(("W", rule) for rule in rules), seconds=seconds)


def only(name: str, *rules: str) -> list[tuple[str, str]]:
    return [("A", "all"), ("W", name), *(("W", rule) for rule in rules)]


def found(program: Program, rule: str, seconds: float = 0.3) -> list[Trouble]:
    """What the doctor finds of the kind that *rule* names."""
    with running(program):
        return doctor.examine(Rules().of(only(rule)), seconds=seconds)


async def idle() -> None:
    await asyncio.sleep(3600)


# -- Planted


def test_two_locks_in_two_orders():
    """Tasks that wait for each other's locks are a cycle, with all of their names and lines."""

    async def holder(first: Any, second: Any) -> None:
        async with first:
            await asyncio.sleep(0.01)
            async with second:
                pass

    async def program() -> None:
        a, b = hocket.Lock(), hocket.Lock()
        tasks = [
            asyncio.create_task(holder(a, b), name="first a"),
            asyncio.create_task(holder(b, a), name="first b"),
        ]
        try:
            await asyncio.sleep(3600)
        finally:
            for task in tasks:
                task.cancel()

    (trouble,) = found(program, "await-cycle=0.05")
    text = "\n".join((trouble.what, *trouble.evidence))
    assert "2 tasks wait for each other" in text
    assert "first a" in text and "first b" in text
    assert __file__ in text
    assert len(trouble.tasks) == 2


def test_a_queue_that_nobody_feeds():
    """Who waits for what nobody can send is leaked."""

    async def consumer() -> None:
        await hocket.Queue().get()

    async def program() -> None:
        task = asyncio.create_task(consumer(), name="consumer")
        name = task.get_name()
        del task
        await asyncio.sleep(3600)
        print(name)

    (trouble,) = found(program, "task-leak=0.1")
    assert "'consumer'" in trouble.what
    assert trouble.place is not None and trouble.place.file == __file__


def test_a_cancellation_that_is_swallowed():
    """A task that goes on after it was cancelled is named."""

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(0.01)
            except:  # noqa: E722
                swallowed.set()
            if ended:
                return

    ended: list[int] = []
    swallowed = threading.Event()

    async def program() -> None:
        task = asyncio.create_task(stubborn(), name="stubborn")
        await asyncio.sleep(0.01)
        task.cancel()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(1)

    with running(program):
        assert swallowed.wait(20)
        (trouble,) = doctor.examine(Rules().of(only("cancel-swallowed=0.2")), seconds=0.3)
    assert trouble.what.startswith("task 'stubborn' was cancelled once and is there ")


def test_a_cancellation_that_is_taken_back_again_and_again():
    """A task that was cancelled whenever one looks, and not for long at a time, is not named."""

    async def cancelled_anew() -> None:
        me = asyncio.current_task()
        assert me is not None
        while not ended:
            me.cancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                await asyncio.sleep(0.01)
                me.uncancel()

    async def left_anew() -> None:
        while not ended:
            with hocket.CancelScope() as scope:
                scope.cancel()
                for _ in range(3):
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.sleep(0.01)
                with hocket.CancelScope(shield=True):
                    await asyncio.sleep(0.01)

    ended: list[int] = []

    async def program() -> None:
        tasks = [asyncio.create_task(cancelled_anew()), asyncio.create_task(left_anew())]
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(1)
            await asyncio.gather(*tasks)

    assert found(program, "cancel-swallowed=1", seconds=1.2) == []


def test_a_lock_whose_holder_has_ended():
    """Nobody is left who could release it."""
    locks: list[Any] = []

    async def careless() -> None:
        await locks[0].acquire()

    async def program() -> None:
        locks.append(hocket.Lock())
        task = asyncio.create_task(careless())
        await task
        await asyncio.sleep(3600)

    gc.collect()  # Earlier tests may have left some, too.
    (trouble,) = found(program, "lock-held-at-exit")
    assert "which has ended" in trouble.what
    locks.clear()


def test_a_queue_that_grows():
    """A queue without a bound that is fuller each time one looks."""

    async def program() -> None:
        queue: Any = hocket.Queue()
        while True:
            for _ in range(200):
                queue.put_nowait(None)
            await asyncio.sleep(0.005)

    (trouble,) = found(program, "queue-growth=100")
    assert "has no bound" in trouble.what


def test_a_queue_that_is_bounded_does_not_grow():
    """However full it is."""

    async def program() -> None:
        queue: Any = hocket.Queue(500)
        while True:
            await queue.put(None)

    assert found(program, "queue-growth=100") == []


def test_a_step_that_lasts():
    """Without a watchdog, what runs at this moment is a blocked loop all the same."""
    begun, end = threading.Event(), threading.Event()

    async def program() -> None:
        await asyncio.sleep(0)
        begun.set()
        end.wait(20)

    with running(program):
        assert begun.wait(20)
        time.sleep(0.2)
        (trouble,) = doctor.examine(Rules().of(only("blocked-loop")), seconds=0.1)
        end.set()
    assert trouble.what.startswith("task 'program' has been blocking loop ")


def test_what_the_watchdog_has_seen():
    """Blocked loops are told with place, cause and remedy, one trouble a place."""

    async def program() -> None:
        for _ in range(3):
            told.acquire(timeout=20)
            time.sleep(0.2)
            await asyncio.sleep(0.01)
        await asyncio.sleep(3600)

    told = threading.Semaphore(0)
    dog = watchdog.start(0.05)
    assert dog is not None
    dog.listeners.append(lambda blockage: blockage.over or blockage.name != "program" or told.release())
    try:
        with running(program):
            for _ in range(200):
                if sum(blockage.over and blockage.name == "program" for blockage in dog.blockages()) >= 3:
                    break
                time.sleep(0.02)
            troubles = doctor.examine(Rules().of(only("blocked-loop")), seconds=0.1)
    finally:
        dog.stop()
    # Others may have been kept waiting by this machine.
    (trouble,) = [one for one in troubles if one.place is not None and one.place.function == program.__qualname__]
    assert "a call does not return: it waits" in trouble.what
    assert trouble.place is not None and trouble.place.file == __file__
    assert trouble.evidence[0].startswith("3 times")
    assert "to_thread" in trouble.next


def test_a_task_that_never_yields():
    """A first step that does not end is told of by its own name."""
    begun, end = threading.Event(), threading.Event()

    async def program() -> None:
        async def greedy() -> None:
            begun.set()
            end.wait(20)

        await asyncio.create_task(greedy(), name="greedy")

    with running(program):
        assert begun.wait(20)
        time.sleep(0.3)
        (trouble,) = doctor.examine(Rules().of(only("never-yields=0.1")), seconds=0.0)
        end.set()
    assert trouble.what.startswith("task 'greedy' has run for ")


def test_a_long_step():
    """The longest step of a task is remembered."""

    async def program() -> None:
        time.sleep(0.2)
        begun.set()
        await asyncio.sleep(3600)

    begun = threading.Event()
    with running(program):
        assert begun.wait(20)
        time.sleep(0.1)
        troubles = doctor.examine(Rules().of(only("long-step=0.15")), seconds=0.1)
    # On a busy machine others may have some, too.
    (trouble,) = [one for one in troubles if "task 'program'" in one.what]
    assert trouble.what.startswith("a step of task 'program' took ")


def test_a_long_step_is_told_once():
    """What the watchdog has explained is not told again by its length."""

    async def program() -> None:
        told.wait(20)
        time.sleep(0.3)
        await asyncio.sleep(3600)

    told = threading.Event()
    dog = watchdog.start(0.05)
    assert dog is not None
    dog.listeners.append(lambda blockage: blockage.name == "program" and told.set())
    try:
        with running(program):
            for _ in range(200):
                if any(blockage.over and blockage.name == "program" for blockage in dog.blockages()):
                    break
                time.sleep(0.02)
            rules = Rules().of([*only("blocked-loop"), ("W", "long-step=0.1")])
            names = [one.name for one in doctor.examine(rules, seconds=0.0) if "task 'program'" in one.what]
    finally:
        dog.stop()
    assert names == ["blocked-loop"]


def test_steps_that_are_ready_for_long():
    """Many tasks whose steps are long keep each other waiting."""

    async def worker() -> None:
        while True:
            time.sleep(0.002)
            await asyncio.sleep(0)

    async def program() -> None:
        await asyncio.gather(*(worker() for _ in range(50)))

    (trouble,) = found(program, "sched-delay=0.02", seconds=1.0)
    assert trouble.what.startswith("a step in a hundred of loop ")


def test_a_task_that_wakes_itself():
    """Asking again and again, in place of waiting."""

    async def program() -> None:
        while not done:
            await asyncio.sleep(0)

    done: list[int] = []
    (trouble,) = found(program, "self-wakes")
    assert trouble.what.startswith("task 'program' wakes itself in ")


def test_a_task_that_lets_others_run_now_and_then():
    """However often in all: between two looks that are far apart, or since its loop has begun."""
    before, now = (look_at(yields, seconds) for yields, seconds in ((10_000, 100.0), (12_000, 110.0)))
    assert [len(troubles(*looks)) for looks in ((before, now), (None, now))] == [0, 0]
    spun = look_at(25_000, 110.0)
    (trouble,) = troubles(before, spun)
    assert trouble.name == "self-wakes"
    (trouble,) = troubles(None, look_at(200_000, 110.0))
    assert trouble.name == "self-wakes"


def look_at(yields: int, seconds: float) -> looks.Look:
    """A look, *seconds* after the start, at a task that has yielded so often."""

    async def once() -> looks.Look:
        return looks.look(search=False)

    seen = hocket.run(once())
    (loop,) = (one for one in seen.snapshot.loops if one.tasks)
    (task,) = (one for one in seen.snapshot.tasks if one.loop == loop.number)
    loop = dataclasses.replace(loop, number=1, active=seconds / 2, idle=seconds / 2, running_for=0.0)
    task = dataclasses.replace(task, number=1, loop=1, yields=yields, steps=yields)
    snapshot = dataclasses.replace(seen.snapshot, loops=(loop,), tasks=(task,))
    return dataclasses.replace(seen, snapshot=snapshot, time=seconds)


def test_a_storm_of_timers():
    """More timers than anybody can need."""

    async def program() -> None:
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(100):
                loop.call_later(0.001, int)
            await asyncio.sleep(0.002)

    (trouble,) = found(program, "timer-storm=1000", seconds=0.5)
    assert "timers a second" in trouble.what


@pytest.fixture
def mishaps() -> Iterator[looks.Mishaps]:
    gc.collect()  # What earlier tests have left may tell of itself when it is collected.
    looks.mishaps.start()
    yield looks.mishaps
    looks.mishaps.stop()


def test_an_exception_that_nobody_retrieves(mishaps: looks.Mishaps):
    """As asyncio logs it when the task is collected."""

    async def fails() -> None:
        raise ValueError("nobody looks")

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        task = asyncio.create_task(fails())
        await asyncio.sleep(0.01)
        del task
        gc.collect()
        await asyncio.sleep(3600)

    (trouble,) = found(program, "never-retrieved")
    assert "ValueError('nobody looks')" in trouble.evidence[0]
    assert trouble.place is not None and trouble.place.function == fails.__qualname__


def test_a_coroutine_that_nobody_awaits():
    """As Python warns of it, which it still does."""

    async def forgotten() -> None:
        pass

    async def program() -> None:
        forgotten()
        await asyncio.sleep(3600)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        looks.mishaps.start()
        try:
            (trouble,) = found(program, "never-awaited")
        finally:
            looks.mishaps.stop()
    what = "coroutine 'test_a_coroutine_that_nobody_awaits.<locals>.forgotten' was never awaited"
    assert what in trouble.evidence[0]
    assert [str(one.message) for one in told if issubclass(one.category, RuntimeWarning)] == [what]


def test_mishaps_are_bounded(mishaps: looks.Mishaps):
    """A hundred are kept, and the others counted."""
    for number in range(130):
        mishaps._add(looks.Mishap("never-awaited", str(number), None))
    assert (len(mishaps.seen), mishaps.more) == (100, 30)


# -- Rules


def test_every_warning_has_a_finder():
    """The thirteen names of the table are those that are looked for."""
    from hocket.observe.warnings import _FINDERS

    assert set(_FINDERS) == set(LINTS)
    assert len(LINTS) == 13


def test_every_warning_is_in_the_page():
    """The table of the documentation has their names, and no others."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "observe-trouble.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in page.split("| warning |")[1].splitlines() if line.startswith("| `")]
    assert rows == list(LINTS)


def test_rules_apply_in_turn():
    """-A all -W NAME leaves one; a threshold may be given."""
    rules = Rules().allow("all").warn("self-wakes").warn("long-step=2.5")
    assert rules.threshold("self-wakes") == LINTS["self-wakes"].threshold
    assert rules.threshold("long-step") == 2.5
    assert rules.threshold("blocked-loop") is None
    assert rules.allow("long-step").threshold("long-step") is None
    assert rules.warn("all").threshold("blocked-loop") == LINTS["blocked-loop"].threshold


def test_allowed_troubles_are_not_told():
    """What -A names is not looked for."""

    async def program() -> None:
        while True:
            await asyncio.sleep(0)

    with running(program):
        assert doctor.examine(Rules().of([("A", "all")]), seconds=0.3) == []


@pytest.mark.parametrize("word", ["blocked", "blocked-loop=soon", "blocked-loop=-1", "blocked-loop=nan", "all=1"])
def test_words_that_make_no_rule(word: str):
    """An unknown name is told with the list, a bad threshold with its unit."""
    with pytest.raises(ValueError, match=r"there is no warning 'blocked'|expected a threshold \(seconds\)|'all'"):
        Rules().warn(word)


def test_the_worst_comes_first():
    """A deadlock is worse than a task that wakes itself."""

    def trouble(name: str, value: float) -> Trouble:
        return Trouble(name, "", (), (), None, "", value)

    assert trouble("await-cycle", 1.0).weight > trouble("self-wakes", 0.9).weight
    assert trouble("blocked-loop", 5.0).weight > trouble("blocked-loop", 0.2).weight


# -- Healthy programs


async def gathers() -> None:
    while True:
        await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(10)))


async def feeds_a_queue() -> None:
    queue: Any = hocket.Queue(10)

    async def produce() -> None:
        while True:
            await queue.put(1)
            await asyncio.sleep(0.001)

    async def consume() -> None:
        while True:
            await queue.get()
            queue.task_done()

    await asyncio.gather(produce(), consume(), consume())


async def shares_a_lock() -> None:
    lock = hocket.Lock()

    async def work() -> None:
        while True:
            async with lock:
                await asyncio.sleep(0.002)

    await asyncio.gather(*(work() for _ in range(5)))


async def limits_with_a_semaphore() -> None:
    semaphore = asyncio.Semaphore(2)

    async def work() -> None:
        while True:
            async with semaphore:
                await asyncio.sleep(0.002)

    await asyncio.gather(*(work() for _ in range(5)))


async def signals_an_event() -> None:
    event = asyncio.Event()

    async def waits() -> None:
        while True:
            await event.wait()
            event.clear()

    waiter = asyncio.create_task(waits())
    try:
        while True:
            event.set()
            await asyncio.sleep(0.005)
    finally:
        waiter.cancel()


async def notifies_a_condition() -> None:
    condition = hocket.Condition()

    async def waits() -> None:
        while True:
            async with condition:
                await condition.wait()

    waiter = asyncio.create_task(waits())
    try:
        while True:
            async with condition:
                condition.notify_all()
            await asyncio.sleep(0.005)
    finally:
        waiter.cancel()


async def times_out() -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.005):
                await asyncio.sleep(1)


async def waits_for() -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(1), 0.005)


async def groups_tasks() -> None:
    while True:
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(asyncio.sleep(0.002))


async def cancels_and_awaits() -> None:
    while True:
        task = asyncio.create_task(asyncio.sleep(1))
        await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def cleans_up_when_cancelled() -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            await asyncio.sleep(0.01)

    while True:
        task = asyncio.create_task(work())
        await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def works_in_threads() -> None:
    while True:
        await asyncio.to_thread(time.sleep, 0.01)


async def echoes() -> None:
    async def serve(reader: Any, writer: Any) -> None:
        while data := await reader.read(100):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        while True:
            writer.write(b"hello")
            await reader.readexactly(5)
            await asyncio.sleep(0.001)
    finally:
        writer.close()
        server.close()


async def waits_for_a_peer() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        await server.serve_forever()


async def runs_a_child() -> None:
    async def run() -> None:
        child = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "pass")
        await child.wait()

    while True:
        child = asyncio.create_task(run())
        try:
            await asyncio.shield(child)
        finally:
            await child


async def resolves_futures() -> None:
    loop = asyncio.get_running_loop()
    while True:
        future = loop.create_future()
        timer = loop.call_later(0.002, future.set_result, None)
        try:
            await future
        finally:
            timer.cancel()


async def shields() -> None:
    while True:
        await asyncio.shield(asyncio.sleep(0.002))


async def iterates() -> None:
    async def numbers() -> Any:
        for number in range(10):
            await asyncio.sleep(0.001)
            yield number

    while True:
        async for _ in numbers():
            pass


async def yields_now_and_then() -> None:
    while True:
        for _ in range(5):
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)


async def keeps_failures_to_itself() -> None:
    async def fails() -> None:
        raise ValueError("retrieved")

    while True:
        await asyncio.gather(fails(), fails(), return_exceptions=True)
        await asyncio.sleep(0.002)


HEALTHY = [
    gathers,
    feeds_a_queue,
    shares_a_lock,
    limits_with_a_semaphore,
    signals_an_event,
    notifies_a_condition,
    times_out,
    waits_for,
    groups_tasks,
    cancels_and_awaits,
    cleans_up_when_cancelled,
    works_in_threads,
    echoes,
    waits_for_a_peer,
    runs_a_child,
    resolves_futures,
    shields,
    iterates,
    yields_now_and_then,
    keeps_failures_to_itself,
]


def test_there_are_twenty():
    """As many as the promise names."""
    assert len(HEALTHY) == 20


def test_healthy_programs_are_left_in_peace(mishaps: looks.Mishaps):
    """No warning, of none of the kinds, for all of them at once.  (Times measure this machine: wide margins.)"""

    async def program() -> None:
        async with asyncio.TaskGroup() as group:
            for one in HEALTHY:
                group.create_task(one(), name=one.__name__)

    wide = ("blocked-loop=2", "long-step=2", "never-yields=5", "sched-delay=2")
    found = examined(program, *wide, seconds=2.0)
    assert [(trouble.name, trouble.what) for trouble in found] == []
