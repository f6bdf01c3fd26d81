"""What a loop counts while it runs: how often, how long, how late; and what of it the flight recorder gets.

A step begins when the one before it has ended: one look at the clock serves both, and costs less than all else that a
step does.  Nothing in here decides anything.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hocket.core import asyncio_private
from hocket.core.ready import Ready, Runnable
from hocket.native.measure import Histogram, ticks_per_second

if TYPE_CHECKING:
    from hocket.core.statistics import LoopStatistics
    from hocket.native.ring import Ring

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.native.ring import TRAFFIC, TURN


class Accounting:
    """The counters of a loop, and its ready ring, which knows what time it is.  `Scheduler` keeps them."""

    def __init__(self) -> None:
        self._queue = Ready()
        # The how-manieth loop of this process it is.
        self._number = 0
        # Whether something runs: the task that is announced, or this callback.
        self._stepping = False
        self._callback: Runnable | None = None
        # Since when what runs had been ready.
        self._since = 0
        self.turns = 0
        self.steps = 0
        self.callbacks = 0
        self.tasks_started = 0
        self.tasks_finished = 0
        self.tasks_failed = 0
        self.tasks_cancelled = 0
        # What went through the descriptors of transports and of the `sock_*` methods; connections are stream sockets.
        self.bytes_received = 0
        self.bytes_sent = 0
        self.connections_accepted = 0
        self.connections_opened = 0
        self.connections_closed = 0
        # What of it has been recorded.
        self._received_before = 0
        self._sent_before = 0
        # In ticks: how long steps and callbacks took, how long they had been ready, and waits for the driver; in
        # nanoseconds of the loop's clock: how late timers were.
        self.step_times = Histogram()
        self.ready_delays = Histogram()
        self.polls = Histogram()
        self.lags = Histogram()
        self._longest_step = 0
        self._longest_step_task: str | None = None
        self._longest_step_where: str | None = None

    def statistics(self) -> LoopStatistics:
        """What this loop has done so far."""
        from hocket.core.statistics import LoopStatistics  # Seldom asked for, and dataclasses take time to import.

        rate = ticks_per_second()
        return LoopStatistics(
            self.turns,
            self.steps,
            self.callbacks,
            self.tasks_started,
            self.tasks_finished,
            self.tasks_failed,
            self.tasks_cancelled,
            self.step_times.sum / rate,
            self.polls.sum / rate,
            self._longest_step / rate,
            self._longest_step_task,
            self._longest_step_where,
            self.bytes_received,
            self.bytes_sent,
            self.connections_accepted,
            self.connections_opened,
            self.connections_closed,
        )

    def _account(self, item: Runnable) -> None:
        """Note how long *item* had been ready, and how long it ran: since the last one ended."""
        self._stepping = False
        self._callback = None
        queue = self._queue
        started = queue.now
        queue.stamp()
        ran = queue.now - started
        since = self._since
        # What was put in at the end of the turn, while somebody records, is newer than the last look at the clock.
        waited = started - since if started > since else 0
        self.step_times.add(ran)
        self.ready_delays.add(waited)
        if ran > self._longest_step:
            self._longest_step = ran
            self._longest_step_task, self._longest_step_where = describe(item)
        if item.publishes:
            item.account(waited, ran, queue.now)
        if queue.ring is not None:
            item.record(queue.ring, queue.loop, since, started, queue.now)
            self._record_traffic()

    def _note_wait(self, before: int) -> None:
        """Note that the driver has waited since *before*."""
        queue = self._queue
        if queue.now == before:
            queue.stamp()  # The driver has not.
        self.polls.add(queue.now - before)

    def record_into(self, ring: Ring | None) -> None:
        """Write what this loop does into *ring*, the flight recorder's; None: no more.  For the loop's own thread, or
        while it holds still."""
        queue = self._queue
        self._received_before = self.bytes_received
        self._sent_before = self.bytes_sent
        queue.loop = self._number
        queue.ring = ring

    def _record_turn(self, asked: int) -> None:
        """Record that a turn has begun, which *asked* the driver at that time, or not if 0."""
        queue = self._queue
        ring: Ring = queue.ring  # type: ignore[assignment]
        self._record_traffic()
        answered = queue.now
        queue.stamp()
        if asked:
            ring.note(TURN, 0, queue.loop, 0, asked, queue.now, self.turns, answered, queue._count)
        else:
            ring.note(TURN, 0, queue.loop, 0, answered, queue.now, self.turns, 0, queue._count)

    def _record_traffic(self) -> None:
        """Record what was received and sent since this was asked last: by what has just run, or at the turn's end."""
        received = self.bytes_received - self._received_before
        sent = self.bytes_sent - self._sent_before
        if received == 0 and sent == 0:
            return
        self._received_before = self.bytes_received
        self._sent_before = self.bytes_sent
        ring: Ring = self._queue.ring  # type: ignore[assignment]
        ring.note(TRAFFIC, 0, self._queue.loop, 0, self._queue.now, 0, received, sent, 0)


def name_of(item: Any) -> str:
    """What asyncio's debug mode calls *item*, a handle or a task."""
    if isinstance(item, asyncio.Handle):
        return asyncio_private.format_handle(item)
    return repr(item)


def task_of(item: Any) -> Any:
    """The task that *item* is, or that it is a step of, as those of asyncio's own class are handles; or None."""
    if item.publishes:
        return item
    owner = getattr(getattr(item, "_callback", None), "__self__", None)
    return owner if isinstance(owner, asyncio.Task) else None


def describe(item: Any) -> tuple[str, str | None]:
    """The name of the task that *item* is (`task_of`), and the line at which it stands; of a callback, what it is."""
    task = task_of(item)
    if task is None:
        return name_of(item), None
    coroutine = task.get_coro()
    code = getattr(coroutine, "cr_code", None)
    # A task that has finished stands nowhere; then it is at least known whose code it was.
    where = None if code is None else f"{code.co_filename}:{code.co_firstlineno} in {code.co_qualname}"
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and not frame.f_globals.get("__name__", "").startswith(("asyncio.", "hocket.")):
            where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        coroutine = getattr(coroutine, "cr_await", None)
    return task.get_name(), where
