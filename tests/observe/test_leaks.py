"""`no_leaks`: tasks that are left over, in a block and in a test."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import hocket
from hocket.observe import LeakedTasks, no_leaks

from .programs import settle


async def forever() -> None:
    await hocket.Event().wait()


async def shortly() -> None:
    await hocket.sleep(0.02)


def test_a_program_that_ends_its_tasks() -> None:
    """Nothing happens."""

    async def main() -> int:
        async with hocket.TaskGroup() as group:
            group.create_task(shortly())
        return 1

    with no_leaks():
        assert hocket.run(main()) == 1


def test_a_program_that_leaves_one_to_the_runner() -> None:
    """`run` cancels it at the end: it was left over nevertheless."""

    async def main() -> None:
        asyncio.create_task(forever(), name="stray")
        await settle(2)

    with pytest.raises(LeakedTasks) as raised, no_leaks():
        hocket.run(main())
    [task] = raised.value.tasks
    assert (task.name, task.coroutine) == ("stray", "forever")
    assert task.waits_on is not None and task.waits_on.kind == "event"
    assert task.made_at is not None and task.made_at.file == __file__
    text = str(raised.value)
    assert text.startswith("a task is left over\n  stray (forever) waits for event: Event at ")
    assert f"started at {__file__}:" in text


def test_inside_of_a_task() -> None:
    """What was started in the block counts, what was there before does not, and who runs the block neither."""

    async def main() -> list[str]:
        before = asyncio.create_task(forever(), name="before")
        await settle(2)
        try:
            with no_leaks():
                asyncio.create_task(forever(), name="one")
                asyncio.create_task(forever(), name="two")
                await settle(2)
        except LeakedTasks as error:
            return sorted(task.name for task in error.tasks)
        finally:
            before.cancel()
        return []

    assert hocket.run(main()) == ["one", "two"]


def test_a_task_that_has_been_cancelled_is_about_to_end() -> None:
    """It need not have had its turn."""

    async def main() -> None:
        with no_leaks():
            task = asyncio.create_task(forever())
            await settle(2)
            task.cancel()

    hocket.run(main())


def test_names_may_be_excepted() -> None:
    """By patterns of the task's name, or its coroutine's."""

    async def main() -> None:
        asyncio.create_task(forever(), name="cache-1")
        asyncio.create_task(for_longer(), name="other")
        await settle(2)

    async def for_longer() -> None:
        await asyncio.sleep(30)

    with no_leaks(ignore=["cache-*", "*for_longer"]):
        hocket.run(main())
    with pytest.raises(LeakedTasks, match="a task is left over\n  other"), no_leaks(ignore=["cache-*"]):
        hocket.run(main())


def test_the_last_tasks_may_be_given_time() -> None:
    """`async with` waits for them, as long as it is told, and no longer than it has to."""

    async def main() -> str:
        async with no_leaks(grace=10):
            asyncio.create_task(shortly())
        try:
            async with no_leaks(grace=0.01):
                asyncio.create_task(forever(), name="stray")
        except LeakedTasks as error:
            return error.tasks[0].name
        return ""

    assert hocket.run(main()) == "stray"


def test_an_exception_is_passed_on_with_a_note() -> None:
    """What went wrong first is what one wants to know."""

    async def main() -> None:
        asyncio.create_task(forever(), name="stray")
        await settle(2)
        raise ValueError("first")

    with pytest.raises(ValueError, match="first") as raised, no_leaks():
        hocket.run(main())
    [note] = raised.value.__notes__
    assert note.startswith("a task is left over\n  stray")


def test_a_block_may_be_used_again() -> None:
    """It forgets what it has found."""
    block = no_leaks()

    async def main() -> None:
        asyncio.create_task(forever())

    with pytest.raises(LeakedTasks), block:
        hocket.run(main())
    with block:
        pass


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"ignore": "one"}, TypeError), ({"grace": -1}, ValueError), ({"grace": float("nan")}, ValueError)],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception]) -> None:
    """They are named, with what was expected."""
    with pytest.raises(error, match=f"{next(iter(arguments))}: expected"):
        no_leaks(**arguments)


TESTS = """
    import asyncio, hocket, pytest

    async def forever():
        await hocket.Event().wait()

    async def leaves():
        asyncio.create_task(forever(), name="stray")
        await asyncio.sleep(0)

    @pytest.mark.no_leaks
    def test_leaves():
        hocket.run(leaves())

    @pytest.mark.no_leaks(ignore=["stray"])
    def test_may():
        hocket.run(leaves())

    def test_unmarked():
        hocket.run(leaves())

    @pytest.mark.no_leaks
    def test_clean():
        async def main():
            await asyncio.create_task(asyncio.sleep(0))
        hocket.run(main())
"""


@pytest.mark.parametrize(
    ("options", "failed"), [([], ["test_leaves"]), (["--no-leaks"], ["test_leaves", "test_unmarked"])]
)
def test_the_marker_and_the_option_of_pytest(tmp_path: Path, options: list[str], failed: list[str]) -> None:
    """A marked test fails that leaves a task behind; with the option every test does."""
    (tmp_path / "test_it.py").write_text(textwrap.dedent(TESTS))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers"]
    done = subprocess.run(
        [*command, "-p", "hocket.pytest_plugin", *options, "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(hocket.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"{len(failed)} failed, {4 - len(failed)} passed" in done.stdout
    assert all(f"FAILED test_it.py::{name}" in done.stdout for name in failed)
    assert "LeakedTasks: a task is left over" in done.stdout
    assert "stray (forever) waits for event" in done.stdout
