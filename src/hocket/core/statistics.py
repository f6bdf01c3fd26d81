"""What a loop tells of itself when it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LoopStatistics:
    """What one loop has done so far.  Times are in seconds."""

    turns: int
    steps: int
    callbacks: int
    tasks_started: int
    tasks_finished: int
    tasks_failed: int
    tasks_cancelled: int
    busy: float
    idle: float
    longest_step: float
    longest_step_task: str | None
    longest_step_where: str | None
    bytes_received: int
    bytes_sent: int
    connections_accepted: int
    connections_opened: int
    connections_closed: int


@dataclass(frozen=True)
class LoopState:
    """What one loop has before it: how much of what; and the task or handle that runs, for how many seconds, or for
    how many it has been waiting for something to happen."""

    thread: int | None
    ready: int
    tasks: int
    timers: int
    descriptors: int
    running: Any
    running_for: float
    waiting_for: float
