"""What it costs a process to be looked at, and how long whoever looks waits: ``hocket top``, ``ps`` and ``where``.

    python -m bench.attach

Linux only.  The exit code is 1 if a bar was missed: for times, believe only a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hocket
from hocket.cli.client import connect
from hocket.cli.screen.source import INTERVAL, Source, View

#: `hocket top`: looks a second, at least, and the share of a processor that they may take of the process.
LOOKS, SHARE = 1.9, 0.05
#: `hocket ps` and `hocket where`: seconds from the command to its end.
ANSWER = 1.0
#: How often each command is run; its time is the median.
ROUNDS = 5

#: What tasks wait for.
WAITS = {
    "asyncio.sleep": "await asyncio.sleep(3600)",
    "hocket.sleep": "await hocket.sleep(3600)",
    "asyncio.Queue": "await queue.get()",
}

#: What has befallen the process: how many tasks it has, and what its main task does.
TROUBLES = {
    "a blocked loop": (100, "while True: pass"),
    "no descriptor left": (100, "take_descriptors(); await asyncio.sleep(3600)"),
    "100,000 tasks": (100_000, "await asyncio.sleep(3600)"),
    "100,000 tasks, a blocked loop": (100_000, "while True: pass"),
}

PROGRAM = """
import asyncio, os, hocket

def take_descriptors():
    try:
        while True:
            os.dup(1)
    except OSError:
        pass

async def one(queue):
    {wait}

async def main():
    queue = asyncio.Queue()
    tasks = [asyncio.create_task(one(queue)) for _ in range({tasks})]
    await asyncio.sleep(0.1)
    print("ready", flush=True)
    {then}

asyncio.run(main())
"""


@contextmanager
def observed(tasks: int, wait: str, then: str) -> Iterator[int]:
    """The number of a process under ``hocket run --observe`` that has so many tasks."""
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "program.py")
        program.write_text(PROGRAM.format(tasks=tasks, wait=wait, then=then))
        os.environ["XDG_RUNTIME_DIR"] = directory
        command = [sys.executable, "-m", "hocket", "run", "--observe", str(program)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
            try:
                assert child.stdout is not None and child.stdout.readline() == b"ready\n"
                time.sleep(1.0)
                yield child.pid
            finally:
                child.kill()


def processor_time(process: int) -> float:
    """What *process* has used, threads that have ended included, in seconds."""
    # As clock_getcpuclockid(3) makes them.
    return time.clock_gettime((~process << 3) | 2)


def top(process: int, seconds: float) -> tuple[float, float]:
    """How often `hocket top` looks at *process* in a second, and which share of a processor that takes of it."""
    views: list[View] = []
    source = Source(connect(process), views.append, lambda why: print(why, file=sys.stderr))
    thread = threading.Thread(target=source.run)
    thread.start()
    try:
        time.sleep(4 * INTERVAL)
        before, used, begun = len(views), processor_time(process), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - begun
        return (len(views) - before) / passed, (processor_time(process) - used) / passed
    finally:
        source.stop()
        thread.join()


def answer(*command: str) -> float:
    """After how many seconds the command has ended, usually."""
    times = []
    for _ in range(ROUNDS):
        begun = time.monotonic()
        subprocess.run([sys.executable, "-m", "hocket", *command], check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - begun)
    return statistics.median(times)


def main() -> int:
    """Measure, and say what was met."""
    parser = argparse.ArgumentParser(prog="python -m bench.attach", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=10_000, metavar="N", help="for hocket top (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="N", help="to look for so long (%(default)s)")
    options = parser.parse_args()
    compiled = "compiled" if hocket.is_compiled() else "uncompiled"
    print(f"hocket {hocket.__version__} ({compiled}) on Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    missed = 0
    for what, wait in WAITS.items():
        with observed(options.tasks, wait, "await asyncio.sleep(3600)") as process:
            looks, share = top(process, options.seconds)
        met = looks >= LOOKS and share < SHARE
        missed += not met
        print(
            f"top, {options.tasks:,} tasks in {what}: {looks:.2f} looks a second, {share:.1%} of a processor"
            f" ({'met' if met else 'MISSED'}: 2, {SHARE:.0%})",
            flush=True,
        )
    for what, (tasks, then) in TROUBLES.items():
        with observed(tasks, WAITS["asyncio.sleep"], then) as process:
            for command in (["ps"], ["where", "2"]):
                seconds = answer(*command, str(process))
                met = seconds < ANSWER
                missed += not met
                print(f"{command[0]}, {what}: {seconds:.2f} s ({'met' if met else 'MISSED'}: {ANSWER:g} s)", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
