"""aiomonitor's console shows, explains and cancels hocket's tasks, from outside of the process."""

from __future__ import annotations

import re
import time

import pytest

from tests.ports import free_ports

from .workplace import Server, ToolWorkplace, connect

TOOL = "aiomonitor"
PACKAGES = ("aiomonitor",)

PROGRAM = """
import asyncio, sys
import aiomonitor, hocket

async def deep():
    await asyncio.sleep(600)

async def parent():
    try:
        await deep()
    except asyncio.CancelledError:
        print("napping was cancelled", flush=True)
        raise

async def main():
    loop = asyncio.get_running_loop()
    port, web, console = map(int, sys.argv[1:4])
    with aiomonitor.start_monitor(
        loop, port=port, webui_port=web, console_port=console, hook_task_factory=sys.argv[4] == "hook"
    ):
        task = asyncio.create_task(parent(), name="napping")
        print("ready", flush=True)
        await asyncio.wait([task])
        await asyncio.sleep(600)

hocket.run(main())
"""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\xff..|\r")


class Console:
    """aiomonitor's console over telnet, as far as these tests need one."""

    def __init__(self, port: int) -> None:
        self._socket = connect(port)
        self._seen = ""
        # The console waits until it is told what terminal this is, and how large: 200 columns, 50 lines.
        self._socket.sendall(b"\xff\xfa\x1f\x00\xc8\x00\x32\xff\xf0" + b"\xff\xfa\x18\x00dumb\xff\xf0")
        self.read_until("monitor >>>")

    def read_until(self, text: str) -> str:
        """Read to the end of *text*; what comes after it waits for the next call."""
        deadline = time.monotonic() + 30
        while text not in (plain := ESCAPES.sub("", self._seen)):
            assert time.monotonic() < deadline, self._seen
            self._seen += self._socket.recv(65536).decode("latin-1")
        seen, found, self._seen = plain.partition(text)
        return seen + found

    def ask(self, command: str) -> str:
        self._socket.sendall(command.encode() + b"\r\n")
        self.read_until(command)
        return self.read_until("monitor >>>")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["plain", "hook"])
def monitored(request: pytest.FixtureRequest, workplace: ToolWorkplace) -> tuple[Server, int]:
    """A monitored program, with aiomonitor's task factory and without."""
    workplace.write("program.py", PROGRAM)
    ports = free_ports(3)
    server = workplace.start("program.py", *map(str, ports), request.param, TERM="dumb")
    server.wait_until_said("ready")
    return server, ports[0]


def test_console(monitored: tuple[Server, int]) -> None:
    """`ps` lists the tasks, `where` shows the frames of one, `cancel` cancels it."""
    server, port = monitored
    console = Console(port)
    try:
        check_console(server, console)
    finally:
        console.close()


def check_console(server: Server, console: Console) -> None:
    listed = console.ask("ps")
    row = next(line for line in listed.splitlines() if "napping" in line)
    number = re.findall(r"\d{6,}", row)[0]
    where = console.ask(f"where {number}")
    assert "await deep()" in where
    console.ask(f"cancel {number}")
    server.wait_until_said("napping was cancelled")
    assert "napping" not in console.ask("ps").split("tasks running")[-1]
