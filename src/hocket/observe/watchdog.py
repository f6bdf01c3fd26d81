"""The watchdog: says who blocks an event loop while it is blocked, and, when it is over, for how long and why.

    with hocket.observe.Watchdog(after=0.1):
        hocket.run(main())

Two threads: the sentinel's looks (see ``sentinel.py``), this one's listens and reports.  Neither touches the loop.
``HOCKET_BLOCKED_AFTER=0.1`` in the environment starts one for the whole process.
"""

from __future__ import annotations

import atexit
import linecache
import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from hocket.core import accounting, scheduler
from hocket.native.threads import thread_names
from hocket.observe import recorder
from hocket.observe.blockage import Blockage, own_place
from hocket.observe.facts import Place
from hocket.observe.sentinel import Sentinel
from hocket.observe.sighting import Sighting

VARIABLE = "HOCKET_BLOCKED_AFTER"
DEFAULT = 0.1

logger = logging.getLogger("hocket.watchdog")


def threshold(text: str | None = None) -> float | None:
    """How many seconds a step may take, as ``HOCKET_BLOCKED_AFTER`` (or *text*) says; None: there is to be no watchdog.

    It is a number of seconds; ``0`` and ``off`` switch off; nothing is 0.1.  Raises `ValueError` for anything else.
    """
    given = os.environ.get(VARIABLE) if text is None else text
    if not given:
        return DEFAULT
    if given.lower() in ("off", "no"):
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise ValueError(f"{VARIABLE}: expected a number of seconds (0: no watchdog), got {given!r}")
    return seconds or None


class Watchdog:
    """Watches every loop of this process that runs.

    A step that takes longer than *after* seconds (None: what ``HOCKET_BLOCKED_AFTER`` says, or 0.1) is a `Blockage`.
    It is logged to ``hocket.watchdog`` as a warning while it lasts and again when it is over, unless *log* is False;
    of one place at most once in ten seconds, and at most twenty a minute: what was left out is counted and said.
    Every one is in `blockages`, and is given to each of ``listeners``, in the watchdog's own thread.  A listener that
    raises is removed, and what it raised is logged.

    What blocks may hold the interpreter's lock, so that nobody can log.  Then the first of the two reports is one line
    on standard error, or on the descriptor *output*: where hocket is compiled.  Uncompiled there is only the second.

    Raises `ValueError` if *after* is not more than 0.
    """

    def __init__(self, after: float | None = None, *, log: bool = True, output: int = 2) -> None:
        self.after = (threshold() or DEFAULT) if after is None else after
        self.listeners: list[Callable[[Blockage], object]] = []
        self._log = log
        self._output = output
        self._limit = Limit()
        self._recent: deque[Blockage] = deque(maxlen=128)
        self._lasting: dict[int, tuple[Blockage, bool]] = {}
        self._threads: list[threading.Thread] = []
        self._sentinel = Sentinel(self.after, output)
        self._process = 0  # whose threads they are
        self._starting = threading.RLock()
        self._on = False

    def start(self) -> None:
        """Begin to watch.  Does nothing if it does already.  Its threads start when the first loop runs."""
        if self._on:
            return
        self._on = True
        scheduler.on_run.append(self._runs)
        scheduler.on_stop.append(self._stopped)
        atexit.register(self.stop)
        for loop in scheduler.loops():
            thread = loop.state().thread
            if thread is not None:
                self._watch(loop, thread)
                if loop.state().thread != thread:  # It has stopped meanwhile.
                    self._stopped(loop)

    def stop(self) -> None:
        """Watch no more.  Does nothing if it does not."""
        if not self._on:
            return
        with self._starting:
            self._on = False
        scheduler.on_run.remove(self._runs)
        scheduler.on_stop.remove(self._stopped)
        atexit.unregister(self.stop)
        if self._process != os.getpid():
            return
        self._process = 0
        self._sentinel.stop()
        for one in self._threads:
            if one is not threading.current_thread():
                one.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def watches(self) -> bool:
        """Whether it has been started, and not stopped since."""
        return self._on

    def blockages(self) -> tuple[Blockage, ...]:
        """The last 128 that are over, and after them those that last."""
        return (*self._recent, *(blockage for blockage, _ in list(self._lasting.values())))

    # -- What the loops say, in their threads

    def _runs(self, loop: Any) -> None:
        self._watch(loop, threading.get_ident())

    def _stopped(self, loop: Any) -> None:
        if self._process == os.getpid():
            self._sentinel.forget(loop)

    def _watch(self, loop: Any, thread: int) -> None:
        try:
            with self._starting:
                if self._on:
                    self._start_threads()
                    self._sentinel.watch(loop, thread)
        except (LookupError, OSError, RuntimeError) as error:
            logger.warning("cannot watch %r: %s", loop, error)

    def _start_threads(self) -> None:
        if self._process == os.getpid():
            return
        # In the child of a fork they are gone, and nobody knows in which state they left the sentinel.
        self._sentinel = sentinel = Sentinel(self.after, self._output)
        self._lasting = {}
        self._threads = [
            threading.Thread(target=_unsignalled, args=(sentinel.run,), name="hocket-sentinel", daemon=True),
            threading.Thread(target=_unsignalled, args=(self._listen, sentinel), name="hocket-watchdog", daemon=True),
        ]
        for one in self._threads:
            one.start()
        self._process = os.getpid()

    # -- The listener's thread

    def _listen(self, sentinel: Sentinel) -> None:
        while (sighting := sentinel.next()) is not None:
            serial = sighting.serial
            try:
                self._report(sighting)
            except Exception:
                logger.exception("the watchdog could not report a blocked event loop")
            finally:
                del sighting  # The loop is not ours to keep.
                sentinel.done(serial)

    def _report(self, sighting: Sighting) -> None:
        before, logs = self._lasting.pop(sighting.serial, (None, None))
        blockage = _blockage(sighting, before)
        if logs is None:
            place = blockage.holder_stack[-1] if blockage.kind == "loop" and blockage.holder_stack else blockage.where
            logs = self._log and self._limit.allows(place, time.monotonic())
        if sighting.over:
            self._recent.append(blockage)
        else:
            self._lasting[sighting.serial] = blockage, logs
        if logs and not (sighting.told and not sighting.over):
            logger.warning("%s%s%s", blockage, self._limit.left_out(), "" if before else _lines(blockage))
        recorder.blocked(blockage.loop, blockage.task, sighting.begun, sighting.ended, blockage.why)
        for listener in list(self.listeners):
            try:
                listener(blockage)
            except Exception:
                self.listeners.remove(listener)
                logger.exception("%r raised, and is not called any more", listener)


def _unsignalled(run: Callable[..., object], *arguments: object) -> None:
    """Signals are for the threads of the program: one that sleeps in a call must be woken by them."""
    if hasattr(signal, "pthread_sigmask"):
        its_own = {getattr(signal, name, None) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")}
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - its_own)
    run(*arguments)


class Limit:
    """How much is logged: one report on a place in ten seconds, and twenty a minute in all."""

    def __init__(self) -> None:
        self._places: dict[Place | None, float] = {}
        self._times: deque[float] = deque(maxlen=20)
        self._refused = 0

    def allows(self, place: Place | None, now: float) -> bool:
        """Whether a report on *place* may be logged *now*, in seconds; counted if not."""
        last = self._places.get(place)
        if (last is not None and now - last < 10.0) or (len(self._times) == 20 and now - self._times[0] < 60.0):
            self._refused += 1
            return False
        self._places = {known: then for known, then in self._places.items() if now - then < 10.0}
        self._places[place] = now
        self._times.append(now)
        return True

    def left_out(self) -> str:
        """How many have been refused since the last call, to be put behind a message."""
        count, self._refused = self._refused, 0
        return f" ({count} more since the last report)" if count else ""


def _blockage(sighting: Sighting, before: Blockage | None) -> Blockage:
    """What *sighting* means; *before* is what was reported on the same one while it lasted."""
    names = thread_names()
    stack = _step(_places(sighting.spots))
    holder_stack = _places(sighting.holder_spots)
    kind, name = "loop" if sighting.outside else "task" if sighting.is_task else "callback", sighting.name
    if before is not None and name is None:
        kind, name = before.kind, before.name
    elif kind == "callback" and not sighting.over:
        kind, name = _callback(sighting)
    return Blockage(
        number=sighting.serial,
        time=before.time if before is not None else time.time() - sighting.seconds,
        loop=sighting.loop._number,
        thread=sighting.thread,
        thread_name=names.get(sighting.thread, str(sighting.thread)),
        kind=kind,
        task=sighting.task,
        name=name,
        seconds=sighting.seconds,
        over=sighting.over,
        cause=sighting.evidence.cause,
        shares=tuple(sighting.evidence.shares().items()),
        stack=stack,
        where=None if sighting.outside else own_place(stack),
        holder=names.get(sighting.holder, str(sighting.holder)) if sighting.holder else None,
        holder_stack=holder_stack,
    )


def _callback(sighting: Sighting) -> tuple[str, str | None]:
    """What the callback is that blocks, which may be a step of a task of asyncio's own class; and its name."""
    item, seconds = sighting.loop.running()
    if item is None or item.publishes or seconds < sighting.seconds:
        return "callback", None  # Another one by now.
    return "callback" if accounting.task_of(item) is None else "task", accounting.describe(item)[0]


def _places(spots: list[tuple[str, int, str]]) -> tuple[Place, ...]:
    return tuple(Place(file, line, function) for file, line, function in reversed(spots))


def _step(stack: tuple[Place, ...]) -> tuple[Place, ...]:
    """*stack* without the frames of those who run the loop, and who look on; all of it if there are no others."""
    first = 0
    while stack and stack[-1].file.endswith(_WATCHER):
        stack = stack[:-1]
    for index, place in enumerate(stack):
        if place.file.endswith(_RUNNERS):
            first = index + 1
    return stack[first:] or stack


_WATCHER = os.path.join("hocket", "observe", "sentinel.py")
_RUNNERS = tuple(
    os.path.join(*parts)
    for parts in (
        ("hocket", "loop.py"),
        ("hocket", "core", "scheduler.py"),
        ("hocket", "core", "task.py"),
        ("hocket", "core", "handles.py"),
        ("hocket", "native", "step.py"),
        ("asyncio", "base_events.py"),
        ("asyncio", "runners.py"),
        ("asyncio", "events.py"),
    )
)


def _lines(blockage: Blockage) -> str:
    """The stacks, as in a traceback."""
    lines = []
    for place in blockage.stack:
        lines += [f'  File "{place.file}", line {place.line}, in {place.function}', _source(place)]
    if blockage.cause == "interpreter-lock" and blockage.holder_stack:
        lines.append(f"thread {blockage.holder!r}, which has the interpreter's lock:")
        for place in blockage.holder_stack:
            lines += [f'  File "{place.file}", line {place.line}, in {place.function}', _source(place)]
    return "".join("\n" + line for line in lines if line)


def _source(place: Place) -> str:
    text = linecache.getline(place.file, place.line).strip()
    return f"    {text}" if text else ""


_started: Watchdog | None = None


def start(after: float | None = None) -> Watchdog | None:
    """Start the one watchdog of this process, and return it; None if ``HOCKET_BLOCKED_AFTER`` switches it off.

    Started already, it is returned as it is.
    """
    global _started
    if _started is None or not _started.watches:
        seconds = threshold() if after is None else after
        if seconds is None:
            return None
        _started = Watchdog(seconds)
        _started.start()
    return _started


def started() -> Watchdog | None:
    """The one that `start` has started; None if there is none."""
    return _started if _started is not None and _started.watches else None
