"""What importing a loop and running the first coroutine on it add to a process that has asyncio anyway."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
from typing import Any

from bench.case import Metric, Probe, Sample
from bench.toolchain import cache_directory

SCRIPT = """
import asyncio, importlib, time
start = time.process_time_ns()
module = importlib.import_module({module!r})
imported = time.process_time_ns()
async def main(): return 5
with asyncio.Runner(loop_factory=module.new_event_loop) as runner:
    assert runner.run(main()) == 5
ended = time.process_time_ns()
print(imported - start, ended - start, ended)
"""


def caching() -> dict[str, str]:
    """The environment, with a place for bytecode whatever it says of it: an installed package has its own."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(cache_directory() / "bytecode")}


async def start_up(times: int, api: Any) -> Sample:
    """CPU time; bytecode is cached from the first, which does not count."""
    module = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    samples = []
    for _ in range(times + 1):
        command = [sys.executable, "-c", SCRIPT.format(module=module)]
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=caching()).stdout
        samples.append([int(word) / 1e6 for word in said.split()])
    added, used, whole = (statistics.median(column) for column in zip(*samples[1:], strict=True))
    return {"whole_ms": whole, "import_ms": added, "used_ms": used}


CASE = Probe(
    "start_up",
    "a process that imports asyncio and the loop, and runs a coroutine that does nothing",
    "process",
    start_up,
    Metric("whole_ms", "CPU ms", 1),
    (Metric("import_ms", "import", 1), Metric("used_ms", "import and run", 1)),
    counts={"": 10},
    quick_count=1,
)
