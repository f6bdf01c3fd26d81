"""The machine and interpreter that results belong to."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from bench.sample import cores


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, Any]:
    pinned = cores()
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor(),
        "cores": usable_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "core_under_test": pinned[0] if pinned else None,
        "core_of_load": pinned[1] if pinned else None,
        "load_average_at_start": os.getloadavg()[0],
        "optimised": bool(sys.flags.optimize),
    }


def headline(machine: dict[str, Any]) -> str:
    return "{python}, {processor}, {cores} cores, {system}, load average {load_average_at_start:.2f}".format(**machine)


def warnings(machine: dict[str, Any]) -> list[str]:
    """What makes results from this machine worth less, in words."""
    found = []
    if machine["core_under_test"] is None:
        found.append("processes cannot be pinned to a core here")
    elif machine["core_under_test"] == machine["core_of_load"]:
        found.append("one core only: the load generator takes time from the server; throughput and latency mean little")
    if machine["load_average_at_start"] > machine["cores"] / 2:
        found.append("the machine is busy with something else: compare CPU times, not throughput or latency")
    return found
