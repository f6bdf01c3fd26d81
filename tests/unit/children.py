"""What the tests of child processes look at: the descriptors, children and threads of this process."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.leftovers import open_descriptors

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, which only Linux has")


def python(code: str, *args: str) -> list[str]:
    """The command line that runs *code* in a Python that starts fast."""
    return [sys.executable, "-I", "-S", "-c", textwrap.dedent(code), *args]


def own_children(parent: int | None = None) -> set[int]:
    """The pids of the children of this process, or of *parent*, zombies included."""
    parent = os.getpid() if parent is None else parent
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent:
            found.add(int(stat.parent.name))
    return found


async def until(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Wait until *condition* holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"{what} has not come true within {seconds} s"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Fail if what runs inside leaves a descriptor or a child, dead or alive, for longer than some turns take."""
    gc.collect()  # What earlier tests have dropped is not to go meanwhile.
    descriptors, children = open_descriptors(), own_children()
    yield
    gc.collect()
    await until(lambda: open_descriptors() <= descriptors, "no descriptor more than before")
    await until(lambda: own_children() <= children, "no child more than before")


class Recorder(asyncio.SubprocessProtocol):
    """Writes down what a transport tells it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.output = {1: bytearray(), 2: bytearray()}
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("connection_made")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.output[fd] += data

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self.events.append(("pipe_connection_lost", fd, exc))

    def process_exited(self) -> None:
        self.events.append("process_exited")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("connection_lost")
        self.lost.set_result(exc)
