"""The flight recorder: what the loops of this process have done of late, kept in memory and written down on demand.

import hocket.observe.recorder as recorder

recorder.start()
...
path = recorder.dump()

It holds as much as fits into its memory, a few seconds of a busy service, and overwrites the oldest; how much was lost
is counted and said.  What is written down is read by ``hocket export`` and by `hocket.observe.recording`.

Everything is written by the loops themselves into a `hocket.native.ring.Ring`, and costs them some tens of nanoseconds
an event.  `dump` copies that in one piece, from any thread: also while a loop is blocked.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from hocket.core import scheduler
from hocket.core.asyncio_private import logger, running_loop
from hocket.core.scheduler import Scheduler
from hocket.native import ring as kinds
from hocket.native.measure import now_in_ticks, ticks_per_second
from hocket.native.ring import RECORD_SIZE, Ring
from hocket.observe.recording_file import Writer, place_of, records_since
from hocket.observe.snapshot import name_of, seconds_since, state_of

#: How much memory the recorder takes unless it is told otherwise, in bytes.
SIZE = 16 * 1024 * 1024
#: What may make it write down what it has, without being asked each time.
TRIGGERS = ("exception", "stall")
#: So many seconds pass at least between two recordings that nobody asked for, and so many there are at most.
_QUIET_FOR = 60.0
_MOST_OF_THEIR_OWN_ACCORD = 20
# While a run is written down as a whole: so much memory, which is written whenever half of it is full.
_SPILLING = 1024 * 1024

#: Files of the standard library's and of our own: of where a task stands, the program's part is told.
LIBRARIES = (os.path.dirname(asyncio.__file__) + os.sep, str(Path(__file__).parents[1]) + os.sep)

_current: Recorder | None = None
_span_numbers = itertools.count(1)
_dump_numbers = itertools.count(1)


def moment() -> tuple[float, int]:
    """What the system's clock and `now_in_ticks` say at one moment.

    Of some looks at both the closest: the thread may be stopped between the two.
    """
    found = []
    for _ in range(5):
        before = now_in_ticks()
        now = time.time()
        apart = now_in_ticks() - before
        found.append((abs(apart), now, before + apart // 2))
    _, now, ticks = min(found)
    return now, ticks


class Recorder:
    """A recorder that runs: made by `start`, or for a whole run by `record_to`."""

    def __init__(self, size: int, directory: str | None = None) -> None:
        if size < 64 * 1024:
            raise ValueError(f"expected a size of at least 64 KiB, got {size!r}")
        # The ring's size is a power of two of records.
        self.ring = Ring(1 << ((size // RECORD_SIZE).bit_length() - 1), LIBRARIES)
        self.directory = directory
        self.began = moment()
        self._triggers: tuple[str, ...] = ()
        self._signal: int | None = None
        self._previous_handler: Any = None
        self._previous_hook: Any = None
        self._last_dump = -_QUIET_FOR
        self._dumps = 0
        self._collecting = 0
        self._closed_loops: list[dict[str, Any]] = []
        self._writer: Writer | None = None
        self._lock = threading.RLock()

    # -- While it runs

    def _attach(self) -> None:
        scheduler.on_create.append(self._made)
        scheduler.on_close.append(self._closes)
        gc.callbacks.append(self._collected)
        for loop in scheduler.loops():
            loop.record_into(self.ring)

    def _detach(self) -> None:
        _remove(scheduler.on_create, self._made)
        _remove(scheduler.on_close, self._closes)
        _remove(gc.callbacks, self._collected)
        for loop in scheduler.loops():
            loop.record_into(None)

    def _made(self, loop: Scheduler) -> None:
        loop.record_into(self.ring)

    def _closes(self, loop: Scheduler) -> None:
        now = now_in_ticks()
        for task in loop.live():
            place = self.ring.place_of_suspended(task.get_coro())
            self.ring.write(kinds.LEFT, 0, loop._number, place, now, 0, task._number, task._parent, 0, name_of(task))
        facts = counters(loop)
        if self._writer is not None:
            self._writer.loop(facts)
        elif len(self._closed_loops) < 1000:
            self._closed_loops.append(facts)
        loop.record_into(None)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = now_in_ticks()
            return
        loop = getattr(running_loop(), "_number", 0)
        began, now = self._collecting or now_in_ticks(), now_in_ticks()
        self.ring.write(kinds.COLLECTED, 0, loop, 0, began, now, info["generation"], info["collected"], 0)

    # -- Writing it down

    def dump(
        self, path: str | os.PathLike[str] | None = None, *, seconds: float | None = None, reason: str = ""
    ) -> str:
        """Write down what is there, of the last *seconds* or all of it; returns the path of the file.

        Without a *path* it is ``hocket-PID-NUMBER.recording`` in the directory that `start` was given.  For any thread.
        Raises `OSError` if it cannot be written.
        """
        if path is None:
            path = os.path.join(self.directory or "", f"hocket-{os.getpid()}-{next(_dump_numbers)}.recording")
        # The state first: what is recorded until the copy is made explains it.
        state, now = live_state(), now_in_ticks()
        rate = ticks_per_second()
        contents = self.ring.contents()
        overwritten, written = self.ring.overwritten(), self.ring.written
        if seconds is not None:
            contents = records_since(contents, now - int(seconds * rate))
        with Writer(os.fspath(path), self.began) as writer:
            writer.names(self.ring)
            writer.records(contents)
            for facts in self._closed_loops:
                writer.loop(facts)
            writer.live(state)
            writer.end(written, overwritten, reason or "asked for")
        return os.fspath(path)

    def dump_by_itself(self, reason: str) -> str | None:
        """`dump` because something has happened; the path is logged.  None: there was one a moment ago, there have
        been many, or it could not be written."""
        with self._lock:
            now = time.monotonic()
            if now - self._last_dump < _QUIET_FOR or self._dumps >= _MOST_OF_THEIR_OWN_ACCORD:
                return None
            self._last_dump = now
            self._dumps += 1
        try:
            path = self.dump(reason=reason)
        except OSError as error:
            logger.error("hocket: the flight recorder could not be written down: %s", error)
            return None
        logger.warning("hocket: %s: the flight recorder is in %s", reason, path)
        return path

    # -- What makes it write

    def _trigger(self, triggers: Sequence[str], number: int | None) -> None:
        self._triggers = tuple(triggers)
        if number is not None:
            self._previous_handler = signal.signal(number, self._signalled)
            self._signal = number
        if "exception" in triggers:
            scheduler.on_exception.append(self._exception_in_loop)
            self._previous_hook, sys.excepthook = sys.excepthook, self._exception_at_the_end

    def _untrigger(self) -> None:
        if self._signal is not None:
            with contextlib.suppress(ValueError):
                if signal.getsignal(self._signal) == self._signalled:
                    signal.signal(self._signal, self._previous_handler or signal.SIG_DFL)
            self._signal = None
        if "exception" in self._triggers:
            _remove(scheduler.on_exception, self._exception_in_loop)
            if sys.excepthook == self._exception_at_the_end:
                sys.excepthook = self._previous_hook
        self._triggers = ()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        # Whoever sends a signal asks: not held back by what has been written of its own accord.
        try:
            logger.warning("hocket: the flight recorder is in %s", self.dump(reason=signal.Signals(number).name))
        except OSError as error:
            logger.error("hocket: the flight recorder could not be written down: %s", error)

    def _exception_in_loop(self, loop: Scheduler, context: dict[str, Any]) -> None:
        if context.get("exception") is not None:
            self.dump_by_itself(f"unhandled {type(context['exception']).__name__}")

    def _exception_at_the_end(self, kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            self.dump_by_itself(f"unhandled {kind.__name__}")
        self._previous_hook(kind, error, at)


def start(
    *,
    size: int = SIZE,
    directory: str | None = None,
    triggers: Sequence[str] = TRIGGERS,
    on_signal: int | None = None,
) -> Recorder:
    """Record from now on what all loops of this process do; returns the recorder, the same as `current`.

    *size* is its memory in bytes.  *triggers* name what makes it write itself down into *directory* (the current one),
    at most once a minute: ``exception``, one that nobody handles; ``stall``, when the watchdog finds a loop blocked.
    *on_signal*, such as ``signal.SIGUSR2``, does so each time; it can be given in the main thread only.

    Raises `RuntimeError` if one runs already, and `ValueError` for an unknown trigger.
    """
    for trigger in triggers:
        if trigger not in TRIGGERS:
            raise ValueError(f"unknown trigger {trigger!r}, expected some of {', '.join(TRIGGERS)}")
    recorder = Recorder(size, directory)
    _begin(recorder)
    try:
        recorder._trigger(triggers, on_signal)
    except BaseException:
        stop()
        raise
    return recorder


def record_to(path: str | os.PathLike[str]) -> Recorder:
    """Write all that happens from now on to the file *path*, until `stop`: nothing is overwritten.

    Raises `OSError` if the file cannot be made, `RuntimeError` if a recorder runs already.
    """
    if _current is not None:
        raise RuntimeError("the flight recorder runs already")
    recorder = Recorder(_SPILLING)
    writer = Writer(os.fspath(path), recorder.began)
    recorder._writer = writer
    recorder.ring.places.listener = writer.place
    recorder.ring.types.listener = writer.type
    recorder.ring.spill_to(writer.fileno())
    _begin(recorder)
    return recorder


def _begin(recorder: Recorder) -> None:
    global _current
    if _current is not None:
        raise RuntimeError("the flight recorder runs already")
    _current = recorder
    recorder._attach()


def stop() -> None:
    """Record no more, and let go of what was recorded.  Does nothing if nothing is."""
    global _current
    recorder = _current
    if recorder is None:
        return
    _current = None
    recorder._untrigger()
    recorder._detach()
    writer = recorder._writer
    if writer is not None:
        recorder._writer = None
        state = live_state()
        recorder.ring.flush()
        recorder.ring.places.listener = recorder.ring.types.listener = None
        writer.live(state)
        writer.end(recorder.ring.written, recorder.ring.overwritten(), "the whole run", recorder.ring.spill_error)
        writer.close()


def current() -> Recorder | None:
    """The recorder that runs, or None."""
    return _current


def dump(path: str | os.PathLike[str] | None = None, *, seconds: float | None = None) -> str:
    """`Recorder.dump` of the recorder that runs.  Raises `RuntimeError` if none does."""
    if _current is None:
        raise RuntimeError("the flight recorder does not run: see hocket.observe.recorder.start")
    return _current.dump(path, seconds=seconds)


def _forked() -> None:
    """In the child of a fork: what is recorded is the parent's."""
    global _current
    recorder = _current
    if recorder is None:
        return
    _current = None
    recorder._untrigger()
    recorder._detach()
    if recorder._writer is not None:
        recorder._writer.disown()
        _left_to_the_parent.append(recorder)  # Its ring must not be written.


_left_to_the_parent: list[Recorder] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


# -- What a program and other parts of `observe` record


def mark(name: str) -> None:
    """Put a mark with this *name* into the recording.  Does nothing if nothing is recorded."""
    recorder = _current
    if recorder is not None:
        loop, task = _here()
        recorder.ring.write(kinds.MARK, 0, loop, 0, now_in_ticks(), 0, task, 0, 0, name)


@contextlib.contextmanager
def span(name: str) -> Iterator[None]:
    """Record how long what is inside takes, by this *name*; waiting included.

    with hocket.observe.span("checkout"):
        await pay(order)
    """
    recorder = _current
    if recorder is None:
        yield
        return
    number = next(_span_numbers)
    loop, task = _here()
    recorder.ring.write(kinds.SPAN_BEGIN, 0, loop, 0, now_in_ticks(), 0, task, number, 0, name)
    try:
        yield
    finally:
        recorder.ring.write(kinds.SPAN_END, 0, loop, 0, now_in_ticks(), 0, task, number, 0, name)


def blocked(loop: int, task: int, began: int, ended: int, why: str) -> None:
    """For the watchdog: *loop* and *task*, by their numbers, are blocked since *began* or were until *ended* (0: they
    still are), in ticks.  Writes the recording down if that is among its triggers, the first time."""
    recorder = _current
    if recorder is None:
        return
    recorder.ring.write(kinds.BLOCKED, 0, loop, 0, began, ended, task, 0, 0, why)
    if not ended and "stall" in recorder._triggers:
        recorder.dump_by_itself("a blocked loop")


def _here() -> tuple[int, int]:
    """The numbers of the loop and of the task that run in this thread, or 0."""
    loop = running_loop()
    if loop is None:
        return 0, 0
    return getattr(loop, "_number", 0), getattr(asyncio.current_task(loop), "_number", 0)


# -- What is written of loops and tasks


def counters(loop: Any) -> dict[str, Any]:
    """What *loop* has counted: to be compared with what was recorded of it."""
    done = loop.statistics()
    names = ["turns", "steps", "callbacks", "tasks_started", "tasks_finished", "tasks_failed", "tasks_cancelled"]
    return {"loop": loop._number, **{name: getattr(done, name) for name in names}}


def live_state() -> dict[str, Any]:
    """Every loop, and every task that is not done, at this moment."""
    rate = ticks_per_second()
    loops, tasks = [], []
    for loop in scheduler.loops():
        item, seconds = loop.running()
        facts = counters(loop)
        facts["running"] = getattr(item, "_number", 0)
        facts["what"] = None if item is None else repr(item)
        facts["running_for"] = seconds
        loops.append(facts)
        for task in loop.live():
            code = task._made_by_code
            tasks.append(
                {
                    "task": task._number,
                    "name": name_of(task),
                    "loop": loop._number,
                    "coroutine": getattr(task.get_coro(), "__qualname__", type(task.get_coro()).__qualname__),
                    "parent": task._parent,
                    "state": state_of(task, item),
                    "since": seconds_since(task, rate),
                    "made_at": None if code is None else place_of(code, task._made_at),
                    "steps": task._steps,
                }
            )
    return {"ticks": now_in_ticks(), "loops": loops, "tasks": tasks}


def _remove(listeners: list[Any], listener: Callable[..., object]) -> None:
    with contextlib.suppress(ValueError):
        listeners.remove(listener)
