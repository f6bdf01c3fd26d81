"""Makes docs/top.svg, the picture of ``hocket top`` in the README: ``python docs/picture_of_top.py``, with Textual."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hocket.cli.client import connect
from hocket.cli.screen.app import TopApp

PROGRAM = """
import asyncio, random, hocket
async def fetch(pool, jobs):
    while True:
        job = await jobs.get()
        async with pool:
            await hocket.sleep(random.uniform(0.02, 0.3))
        jobs.task_done()
async def feed(jobs):
    while True:
        await jobs.put(object())
        await hocket.sleep(random.expovariate(40))
async def report(lock):
    while True:
        async with lock:
            sum(range(random.randrange(10_000, 400_000)))
            await hocket.sleep(0.05)
        await hocket.sleep(random.random())
async def main():
    jobs, pool, lock = hocket.Queue(), hocket.Semaphore(6), hocket.Lock()
    async with hocket.TaskGroup() as group:
        group.create_task(feed(jobs), name="feed")
        for n in range(8):
            group.create_task(fetch(pool, jobs), name=f"fetch {n}")
        for n in range(4):
            group.create_task(report(lock), name=f"report {n}")
        print("ready", flush=True)
hocket.run(main())
"""

#: How long it runs before the picture is taken, in seconds.
SECONDS = 20.0


async def take(process: int) -> str:
    """Look at *process* for a while; returns what is on the screen then, as SVG."""
    app = TopApp(connect(process))
    async with app.run_test(size=(150, 26)) as pilot:
        await asyncio.sleep(SECONDS)
        await pilot.press(*[">"] * 7, "r")
        await asyncio.sleep(2.0)
        return app.export_screenshot(title="hocket top")


def main() -> None:
    """Run the program, and take its picture."""
    target = Path(__file__).resolve().with_name("top.svg")
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)  # Paths are shown as seen from here.
        program = Path(directory) / "service.py"
        program.write_text(PROGRAM, encoding="utf-8")
        child = subprocess.Popen(
            [sys.executable, "-m", "hocket", "run", "--observe", program.name],
            cwd=directory,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        try:
            child.stdout.readline()
            picture = asyncio.run(take(child.pid))
            target.write_text(picture, encoding="utf-8")
        finally:
            child.kill()
            child.wait()
            child.stdout.close()


if __name__ == "__main__":
    main()
