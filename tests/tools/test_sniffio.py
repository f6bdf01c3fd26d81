"""Libraries for several async frameworks find out that asyncio is the one."""

from __future__ import annotations

import asyncio

import pytest

import hocket

from .packages import imported

sniffio = imported("sniffio")

TOOL = "sniffio"
PACKAGES = ("sniffio",)


def test_in_a_task() -> None:
    """Inside of a task the answer is asyncio."""

    async def main() -> str:
        return str(sniffio.current_async_library())

    assert hocket.run(main()) == "asyncio"


def test_in_a_child_task_and_after_a_wait() -> None:
    """So it is in child tasks, and after they were suspended."""

    async def child() -> str:
        await asyncio.sleep(0)
        return str(sniffio.current_async_library())

    async def main() -> list[str]:
        return list(await asyncio.gather(child(), child()))

    assert hocket.run(main()) == ["asyncio", "asyncio"]


def test_outside() -> None:
    """Outside of tasks there is no async library."""
    with pytest.raises(sniffio.AsyncLibraryNotFoundError):
        sniffio.current_async_library()
