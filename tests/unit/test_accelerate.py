"""`hocket.accelerate`, in interpreters of their own: it changes asyncio for the whole process."""

from __future__ import annotations

import subprocess
import sys


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_names_of_asyncio_lead_to_hocket() -> None:
    """In the package and in its modules, and a second call changes nothing."""
    code = """
import asyncio, asyncio.tasks, hocket
original = asyncio.sleep
hocket.accelerate()
hocket.accelerate()
print(asyncio.sleep is hocket.sleep, asyncio.tasks.sleep is hocket.sleep, asyncio.locks.Lock is hocket.Lock,
      asyncio.Queue is hocket.Queue, asyncio.timeouts.timeout is hocket.timeout,
      asyncio.taskgroups.TaskGroup is hocket.TaskGroup, asyncio.streams.StreamReader is hocket.StreamReader,
      asyncio.start_server is hocket.start_server, hocket.sleep is not original)
"""
    assert fresh(code) == "True True True True True True True True True"


def test_importing_hocket_changes_no_name() -> None:
    """It is off until somebody calls it."""
    code = "import asyncio; before = asyncio.sleep; import hocket; print(asyncio.sleep is before is not hocket.sleep)"
    assert fresh(code) == "True"


def test_program_runs_on_stock_asyncio_too() -> None:
    """The primitives stand in also where the loop is asyncio's own."""
    code = """
import asyncio, hocket
hocket.accelerate()
async def main():
    queue = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        group.create_task(queue.put(1))
        task = group.create_task(queue.get())
    async with asyncio.timeout(10), asyncio.Lock():
        await asyncio.sleep(0.001)
    return await asyncio.gather(asyncio.sleep(0, task.result()), asyncio.to_thread(int, "2"))
print(asyncio.run(main()))
"""
    assert fresh(code) == "[1, 2]"


def test_command_line_option(tmp_path: object) -> None:
    """`hocket run --accelerate` does it before the program's first line; without it nothing is replaced."""
    program = f"{tmp_path}/program.py"
    with open(program, "w", encoding="utf-8") as file:
        file.write("import asyncio\nprint(asyncio.Lock.__module__.partition('.')[0])\n")
    found = []
    for options in ([], ["--accelerate"]):
        command = [sys.executable, "-m", "hocket", "run", *options, program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        found.append(done.stdout.strip())
    assert found == ["asyncio", "hocket"]
