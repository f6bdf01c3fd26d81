"""The fresh process of one sample: ``python -m bench.child LOOP CASE VARIANT EFFORT LIFETIME``.

For an in-process case or a probe it measures and prints one JSON object. For a server it prints one JSON object with
the address once it listens, then serves. Either way the kernel ends it after LIFETIME seconds, whatever the loop under
test does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.case import FLOOR, Case, Echo, InProcess, Probe, Sample, discover
from bench.effort import EFFORTS, Effort
from bench.loops import find


def time_repeats(case: InProcess, once: Callable[[int], object], effort: Effort) -> dict[str, float]:
    """Nanoseconds an operation, the median of repeats after one warm-up, by the process's CPU clock and by the wall."""
    count = case.count if effort.name != "quick" else case.quick_count
    once(case.quick_count)
    cpu: list[float] = []
    wall: list[float] = []
    end = time.perf_counter() + effort.seconds
    while not cpu or time.perf_counter() < end:
        gc.collect()
        wall_before, cpu_before = time.perf_counter_ns(), time.process_time_ns()
        once(count)
        cpu_after, wall_after = time.process_time_ns(), time.perf_counter_ns()
        cpu.append((cpu_after - cpu_before) / count)
        wall.append((wall_after - wall_before) / count)
    return {"cpu_ns": statistics.median(cpu), "wall_ns": statistics.median(wall)}


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def measure(case: InProcess, loop_name: str, effort: Effort) -> None:
    if loop_name == FLOOR:
        assert case.floor is not None
        say({"metrics": time_repeats(case, case.floor, effort), "loop": None})
        return
    entry = find(loop_name)
    with asyncio.Runner(loop_factory=entry.create) as runner:
        api = entry.api()

        async def once(count: int) -> None:
            await case.run(count, api)

        metrics = time_repeats(case, lambda count: runner.run(once(count)), effort)
        say({"metrics": metrics, "loop": entry.describe(runner.get_loop())})


def probe(case: Probe, variant: str, loop_name: str, effort: Effort) -> None:
    entry = find(loop_name)
    count = case.counts[variant] if effort.name != "quick" else case.quick_count

    async def once() -> Sample:
        return await case.run(count, entry.api())

    with asyncio.Runner(loop_factory=entry.create) as runner:
        metrics = runner.run(once())
        say({"metrics": metrics, "loop": entry.describe(runner.get_loop())})


def serve(case: Echo, variant: str, loop_name: str) -> None:
    entry = find(loop_name)

    async def listen() -> None:
        server = await case.serve(case.loads[variant].size, entry.api())
        address = getattr(server, "address", None) or server.sockets[0].getsockname()
        say(
            {
                "address": address if isinstance(address, str) else address[1],
                "loop": entry.describe(asyncio.get_running_loop()),
            }
        )
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=entry.create) as runner:
        runner.run(listen())


def main(arguments: list[str]) -> None:
    loop_name, case_name, variant, effort_name, lifetime = arguments
    signal.alarm(int(lifetime))
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    case: Case = discover()[case_name]
    if isinstance(case, InProcess):
        measure(case, loop_name, EFFORTS[effort_name])
    elif isinstance(case, Probe):
        probe(case, variant, loop_name, EFFORTS[effort_name])
    else:
        serve(case, variant, loop_name)


if __name__ == "__main__":
    main(sys.argv[1:])
