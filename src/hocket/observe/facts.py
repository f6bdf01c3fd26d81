"""What `hocket.observe.snapshot` returns: frozen objects that say what was so at one moment.

Times are in seconds.  None of these objects holds a task, a future or a primitive: a snapshot may be kept for as long
as one likes, sent to another process, or compared with another one.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What a task can be doing.
STATES = ("running", "ready", "waiting", "done")

#: What a task can be waiting for.
KINDS = (
    "timer",  # sleep
    "readable",  # a descriptor
    "writable",
    "future",
    "task",
    "gather",  # several futures at once: gather, wait, TaskGroup, the tasks of amap, merge and the like
    "lock",
    "semaphore",
    "event",
    "condition",
    "barrier",
    "queue",
    "channel",  # also room for one more call of amap
    "limiter",
    "thread",  # run_in_executor, to_thread
    "process",
    "unknown",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a program."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


@dataclass(frozen=True, slots=True)
class HistogramFacts:
    """How often which lengths of time came.  ``counts[i]`` is of those from ``bounds[i]`` to ``bounds[i + 1]``."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    count: int
    sum: float
    greatest: float

    def quantile(self, q: float) -> float:
        """The length of time that a share *q* of all, from 0 to 1, did not exceed; exact to a fifth.  0.0: none came.

        snapshot.loops[0].ready_delays.quantile(0.99)
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"expected a share from 0 to 1, got {q!r}")
        wanted = q * self.count
        seen = 0
        for index, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return min(self.bounds[index + 1], self.greatest)
        return 0.0


@dataclass(frozen=True, slots=True)
class WaitFacts:
    """What a task waits for: ``kind`` is one of `KINDS`, ``what`` says it to people.

    ``due`` is in how many seconds a timer ends it (negative: it should have), ``descriptor`` is what is to become
    readable or writable.  ``tasks`` are the numbers of those who are waited for or, of a primitive, who hold it.
    """

    kind: str
    what: str
    due: float | None = None
    descriptor: int | None = None
    tasks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """One task.  ``number`` is its own in this process; ``parent`` is that of the task which made it, 0: none did.

    ``since`` is for how long it has been in its state.  ``wakes`` counts how often something woke it, ``yields`` how
    often it let the others go first (``sleep(0)``).  ``ready_delay`` is how long, in all, it was ready and did not
    run.  ``stack`` is where it stands, or, of one that runs, what it is in the middle of: functions included, the
    innermost place last.  ``cancelling`` counts requests of `Task.cancel`; ``cancelled`` says by whom and why the scope
    was cancelled that it is inside of, None: by nobody, and ``interruptions`` how often it was interrupted since.
    ``recoveries`` counts how often it was cancelled in either way, took that back (as `asyncio.timeout` does) or left
    the scope, and went on.
    """

    number: int
    name: str
    loop: int
    coroutine: str
    state: str
    since: float
    made_at: Place | None
    parent: int
    waits_on: WaitFacts | None
    stack: tuple[Place, ...]
    steps: int
    wakes: int
    yields: int
    run_time: float
    longest_step: float
    ready_delay: float
    longest_ready_delay: float
    cancelling: int
    cancelled: str | None = None
    interruptions: int = 0
    recoveries: int = 0


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """One loop.  ``active`` and ``idle`` are how long it ran and how long it waited.

    Bytes are what its descriptors have received and sent, through transports (TLS: encrypted) and the ``sock_*``
    methods.  Connections are stream sockets with a transport: ``connections_opened`` are all, whoever began, so
    ``connections_opened - connections_closed`` are open now.  ``connections_accepted`` came in through servers.
    """

    number: int
    thread: int | None
    turns: int
    steps: int
    callbacks: int
    ready: int
    tasks: int
    tasks_started: int
    tasks_finished: int
    tasks_failed: int
    tasks_cancelled: int
    timers: int
    descriptors: int
    bytes_received: int
    bytes_sent: int
    connections_accepted: int
    connections_opened: int
    connections_closed: int
    active: float
    idle: float
    longest_step: float
    longest_step_task: str | None
    longest_step_where: str | None
    running: int
    running_for: float
    waiting_for: float
    step_times: HistogramFacts
    ready_delays: HistogramFacts
    lags: HistogramFacts
    polls: HistogramFacts

    @property
    def utilization(self) -> float:
        """The share of its time in which the loop was running something, from 0 to 1."""
        whole = self.active + self.idle
        return self.active / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every loop of this process that is not closed, and every task of theirs that is not done.

    ``time`` is when it was taken, as of `time.time`.
    """

    time: float
    process: int
    loops: tuple[LoopFacts, ...]
    tasks: tuple[TaskFacts, ...]

    def task(self, number: int) -> TaskFacts:
        """The task with this number; `KeyError` if there is none."""
        for task in self.tasks:
            if task.number == number:
                return task
        raise KeyError(f"no task has the number {number}")
