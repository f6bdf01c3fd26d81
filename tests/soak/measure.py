"""What a process holds, and whether that grows.

**The rule.**  The samples of the last two thirds of the time are fitted with a straight line in the way of Theil and
Sen: its slope is the median of the slopes between all pairs of samples, which a few outliers do not move.  What that
line gains over the measured time must be less than an allowance: a part of the level (memory: 3 %, but at least 2 MiB;
objects: 2 %, at least 1500), or a small number (descriptors, transports and tasks 12, threads 2).  Of what is counted
the traffic of a moment needs much or little, and on a busy machine there is more of it; what is leaked stays, and
raises the floor: there, the time is cut into eight windows, and their least samples are fitted.  When the traffic has
stopped, everything must be back where it was before: descriptors, tasks, transports exactly; objects and memory within
the allowance of their level.
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import threading
import time

NAMES = ("memory", "descriptors", "objects", "tasks", "transports", "threads")
#: Of the level, and at least.
ALLOWED = {
    "memory": (0.03, 2 << 20),
    "descriptors": (0.0, 12),
    "objects": (0.02, 1500),
    "tasks": (0.0, 12),
    "transports": (0.0, 12),
    "threads": (0.0, 2),
}
#: What traffic makes jump, and in how many windows their least is sought.
COUNTS = ("descriptors", "objects", "tasks", "transports")
WINDOWS = 8


def sample(loop: asyncio.AbstractEventLoop, started: float) -> dict[str, float]:
    """What this process holds now."""
    gc.collect()
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    objects = gc.get_objects()
    return {
        "time": time.monotonic() - started,
        "memory": memory,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "objects": len(objects),
        "tasks": len(asyncio.all_tasks(loop)),
        "transports": sum(type(thing).__name__.endswith(("Transport", "SSLProtocol")) for thing in objects),
        "threads": threading.active_count(),
    }


def slope(samples: list[dict[str, float]], name: str) -> float:
    """By how much *name*, or its floor, grows a second: the median of the slopes between all pairs."""
    window = max(1, len(samples) // WINDOWS) if name in COUNTS else 1
    chosen = [
        min(samples[start : start + window], key=lambda entry: entry[name])
        for start in range(len(samples) % window, len(samples), window)
    ]
    slopes = [
        (later[name] - earlier[name]) / (later["time"] - earlier["time"])
        for index, earlier in enumerate(chosen)
        for later in chosen[index + 1 :]
    ]
    return statistics.median(slopes) if slopes else 0.0


def judge(samples: list[dict[str, float]], before: dict[str, float], after: dict[str, float]) -> tuple[str, list[str]]:
    """A table, and what is wrong."""
    measured = samples[len(samples) // 3 :]
    span = measured[-1]["time"] - measured[0]["time"]
    wrong = []
    rows = [
        f"{'':12} {'before':>12} {'level':>12} {'least':>12} {'most':>12} {'growth':>12} {'allowed':>12} {'after':>12}"
    ]

    def number(name: str, value: float) -> str:
        return f"{value / 1048576:9.2f} MiB" if name == "memory" else f"{value:12.0f}"

    for name in NAMES:
        values = [entry[name] for entry in measured]
        level = statistics.median(values)
        growth = slope(measured, name) * span
        part, least = ALLOWED[name]
        allowed = max(part * level, least)
        cells = (before[name], level, min(values), max(values), growth, allowed, after[name])
        rows.append(f"{name:12} {' '.join(number(name, value) for value in cells)}")
        if growth > allowed:
            wrong.append(f"{name} grew by {number(name, growth).strip()} in {span:.0f} s")
        if name in ("descriptors", "tasks", "transports") and after[name] > before[name]:
            wrong.append(f"{name}: {after[name]:.0f} are left, {before[name]:.0f} there were before")
        if name in ("objects", "memory") and after[name] > level + allowed:
            wrong.append(f"{name} did not go back: {number(name, after[name]).strip()}")
    return "\n".join(rows), wrong
