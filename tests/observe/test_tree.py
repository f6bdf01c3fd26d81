"""The tasks as a tree, and who could wake one of them."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any

import pytest

import hocket
from hocket.observe import format_tree, print_tree, snapshot, tree_lines, wakers

from .programs import either, scene, settle, start


def shape(tree: str) -> list[str]:
    """The lines of a tree, with names alone."""
    return [re.sub(r"((?:\+ )?\w+) .*", r"\1", line) if "──" in line else line for line in tree.splitlines()]


async def _tree(planted: Any) -> str:
    asyncio.current_task().set_name("main")  # type: ignore[union-attr]
    kept = await planted()
    await settle()
    del kept
    return format_tree()


def test_awaited_tasks_stand_below_those_who_await_them() -> None:
    """And those that nobody awaits below who made them, with a plus."""

    async def planted() -> Any:
        async def leaf() -> None:
            await hocket.sleep(30)

        async def parent() -> None:
            async with hocket.TaskGroup() as group:
                group.create_task(leaf(), name="one")
                group.create_task(leaf(), name="two")

        async def background() -> None:
            await start(leaf)

        return start(parent), start(background)

    tree = scene(lambda: _tree(planted))
    lines = shape(tree)
    assert re.fullmatch(r"loop \d+: 6 tasks \(1 running, 5 waiting\)", lines[0])
    assert lines[1:] == [
        "└── main",
        "    ├── + parent",
        "    │   ├── one",
        "    │   └── two",
        "    └── + background",
        "        └── leaf",
    ]
    [line] = [line for line in tree.splitlines() if "one" in line and "parent" not in line]
    assert re.search(r"one waits for timer: sleep, for \d+\.\d s  .*test_tree\.py:\d+ in .*leaf$", line)


def test_a_task_that_two_await_is_drawn_once() -> None:
    """The second time it says so."""

    async def planted() -> Any:
        async def leaf() -> None:
            await hocket.sleep(30)

        shared = start(leaf)

        async def one() -> None:
            await asyncio.shield(shared)

        return shared, start(one), start(one)

    lines = scene(lambda: _tree(planted)).splitlines()
    assert sum("leaf waits" in line for line in lines) == 1
    assert sum("leaf (see above)" in line for line in lines) == 1


def test_those_who_wait_for_each_other_are_drawn() -> None:
    """A circle has no top, and is there nevertheless."""
    tasks: dict[str, Any] = {}

    async def planted() -> None:
        async def one() -> None:
            await settle(1)
            await asyncio.shield(tasks["other"])

        async def other() -> None:
            await settle(1)
            await asyncio.shield(tasks["one"])

        tasks.update(one=start(one), other=start(other))

    tree = scene(lambda: _tree(planted))
    assert tree.count("one waits for") == 1
    assert tree.count("other waits for") == 1


def test_print_tree_writes_to_a_file() -> None:
    """As text, with a line's end."""

    async def program() -> str:
        out = io.StringIO()
        print_tree(out)
        return out.getvalue()

    assert re.match(r"loop \d+: 1 tasks? \(1 running\)\n└── .* is running", scene(program))


def test_no_tasks() -> None:
    """Where there are none."""
    assert format_tree([]) == "no tasks"


def test_it_is_drawn_from_facts() -> None:
    """Those of a snapshot from elsewhere, or of some of the tasks."""

    async def planted() -> list[str]:
        tasks = [asyncio.create_task(hocket.sleep(30), name=f"sleeper {number}") for number in range(3)]
        await settle()
        facts = [task for task in snapshot().tasks if task.name.startswith("sleeper") and tasks]
        return tree_lines(facts[:2])

    lines = scene(planted)
    assert re.fullmatch(r"loop \d+: 2 tasks \(2 waiting\)", lines[0])
    assert [line[:13] for line in lines[1:]] == ["├── sleeper 0", "└── sleeper 1"]


# -- Who could wake a task


def told(planted: Any, name: str) -> list[str]:
    """Who could wake the task with this *name*, in words."""

    async def program() -> list[str]:
        asyncio.current_task().set_name("main")  # type: ignore[union-attr]
        kept = await planted()
        await settle()
        [number] = [task.number for task in snapshot().tasks if task.name == name]
        found = [str(waker) for waker in wakers(number)]
        del kept
        return found

    found: list[str] = scene(program)
    return found


def test_a_timer_could() -> None:
    """In so many seconds."""

    async def sleeper() -> None:
        await hocket.sleep(30)

    async def planted() -> Any:
        return start(sleeper)

    [line] = told(planted, "sleeper")
    assert re.fullmatch(r"a timer, in (2\d|30)\.\d{3} s", line)


@either
def test_the_holder_of_a_lock_could(kit: Any) -> None:
    """And nobody else, whoever else has the lock."""
    lock = kit.Lock()

    async def holder() -> None:
        async with lock:
            await kit.sleep(30)

    async def user() -> None:
        async with lock:
            pass

    async def planted() -> Any:
        return start(holder), start(user)

    assert told(planted, "user") == ["holder holds it"]


@either
def test_who_has_the_queue_could(kit: Any) -> None:
    """In a variable, or in an attribute of one, at the line where it stands."""

    class Box:
        def __init__(self, queue: Any) -> None:
            self.queue = queue

    async def feeder(queue: Any) -> None:
        await kit.sleep(30)
        queue.put_nowait(1)

    async def keeper(box: Box) -> None:
        await kit.sleep(30)
        box.queue.put_nowait(1)

    async def stranger() -> None:
        await kit.sleep(30)

    async def consumer(queue: Any) -> None:
        await queue.get()

    async def planted() -> Any:
        queue = kit.Queue()
        return start(feeder, queue), start(keeper, Box(queue)), start(stranger), start(consumer, queue)

    found = told(planted, "consumer")
    assert len(found) == 2
    assert re.fullmatch(r"feeder has it in `queue`, at .*test_tree\.py:\d+ in .*feeder", found[0])
    assert re.fullmatch(r"keeper can get at it through `box`, at .*keeper", found[1])


def test_a_callback_of_a_timer_could() -> None:
    """It is a method of what is waited for."""
    events = []

    async def waits() -> None:
        await events[0].wait()

    async def planted() -> Any:
        events.append(hocket.Event())
        asyncio.get_running_loop().call_later(30, events[0].set)
        return start(waits)

    [line] = told(planted, "waits")
    assert line.startswith("a timer, in ")


def test_a_task_that_does_not_exist() -> None:
    """`KeyError`, with the number."""
    with pytest.raises(KeyError, match="no task has the number 123456789"):
        wakers(123456789)


def test_a_task_that_does_not_wait() -> None:
    """Nobody could wake it."""

    async def program() -> Any:
        [task] = snapshot().tasks
        return wakers(task.number)

    assert scene(program) == ()
