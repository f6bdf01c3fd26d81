"""`serve`: a program that runs until it is told to stop, and then ends in order.

At SIGTERM or SIGINT four phases follow each other, each with a budget of seconds:

============  ======================================================================================================
stop          listening sockets are closed, when those who have connected already are in; what `Service.on_stop` was
              told runs; ``stopping`` is True from the beginning.
drain         what is under way goes on to its end: every task that is not background, nor idle for too long.
cancel        what is left is cancelled, the background last, and cleans up.
force         what has not ended even then is cancelled again and again; after that `serve` ends the process.
============  ======================================================================================================

A phase ends when it has nothing left to wait for, so a service without work ends at once.  The second signal cuts the
first two phases short, the third all of them.  Whatever was still running at the end of a phase is in the `Ending`,
with the line at which it stood and the one at which it was started.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from signal import Signals
from typing import Any

from hocket.core.accounting import describe
from hocket.core.task import Task
from hocket.native.frames import line_of
from hocket.structured.worker_threads import threads as worker_threads

Main = Callable[..., Coroutine[Any, Any, Any]]

log = logging.getLogger("hocket.shutdown")
_current: ContextVar[Service | None] = ContextVar("hocket.service", default=None)

DEFAULT_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: For how long those who are in the middle of connecting may go on to do so.
_HANDSHAKE = 0.1
#: While it forces, how often it cancels again what does not end.
_AGAIN = 0.1


@dataclass(frozen=True, slots=True)
class Budgets:
    """For how many seconds each phase may last, and for how long (of the drain) a connection may be idle.

    The defaults add up to 28 seconds: Kubernetes kills after 30.
    """

    stop: float = 2.0
    drain: float = 20.0
    cancel: float = 5.0
    force: float = 1.0
    linger: float = 0.5

    def __post_init__(self) -> None:
        for name in ("stop", "drain", "cancel", "force", "linger"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} expected seconds, got {value!r}")
            if not value >= 0:
                raise ValueError(f"{name} expected seconds, 0 or more, got {value!r}")

    @property
    def total(self) -> float:
        """How long it takes until the process is ended by force."""
        return self.stop + self.drain + self.cancel + self.force


@dataclass(frozen=True, slots=True)
class Remaining:
    """What was still running: a task, or a call in a thread.

    ``number`` is the task's (0: a call in a thread, or a task that is not of hocket's class).  ``where`` is the line at
    which it stood, ``made_at`` the one at which it was started, as ``file:line in function``; None: not known.
    """

    kind: str
    number: int
    name: str
    where: str | None
    made_at: str | None

    def __str__(self) -> str:
        text = f"{self.kind} {self.name}"
        if self.where is not None:
            text += f" at {self.where}"
        if self.made_at is not None:
            text += f", started at {self.made_at}"
        return text


@dataclass(frozen=True, slots=True)
class Phase:
    """How a phase went: how long it took, why it ended (``done``, ``budget``: its time was over, ``hurried``: by
    another signal), and what was still running then."""

    name: str
    seconds: float
    ended: str
    remaining: tuple[Remaining, ...]

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.seconds:.2f} s, {_WORDS[self.ended]}"]
        if self.remaining:
            lines[0] += f", {len(self.remaining)} still running:"
        return "\n".join([*lines, *(f"  {one}" for one in self.remaining)])


_WORDS = {"done": "done", "budget": "budget used up", "hurried": "hurried by a signal"}


@dataclass(frozen=True, slots=True)
class Ending:
    """How `serve` ended.

    ``reason`` is what stopped it, None if main ended of itself; ``signal`` the first signal, if it was one.  ``result``
    is what main returned; ``error`` what it raised; ``failures`` are the exceptions of `Service.on_stop`.  ``str()`` of
    it is a summary for people.
    """

    reason: str | None
    signal: int | None
    result: Any
    error: BaseException | None
    phases: tuple[Phase, ...]
    failures: tuple[BaseException, ...]

    @property
    def drained(self) -> bool:
        """Whether all work came to its end: nothing had to be cancelled but what runs in the background."""
        return all(phase.ended == "done" for phase in self.phases if phase.name in ("stop", "drain"))

    @property
    def stuck(self) -> tuple[Remaining, ...]:
        """What nothing could end."""
        return next((phase.remaining for phase in self.phases if phase.name == "force"), ())

    @property
    def exit_code(self) -> int:
        """What the process is to tell: 0, or the int that main returned; 1 if main has failed; 128 and the signal's
        number (143 of SIGTERM, 130 of SIGINT), or 1 without one, if work had to be cancelled."""
        if self.error is not None:
            return 1
        if not self.drained:
            return 1 if self.signal is None else 128 + self.signal
        return self.result if isinstance(self.result, int) and not isinstance(self.result, bool) else 0

    def __str__(self) -> str:
        why = "main has ended" if self.reason is None else f"stopped by {self.reason}"
        seconds = sum(phase.seconds for phase in self.phases)
        lines = [f"{why}, {'drained' if self.drained else 'NOT drained'} in {seconds:.2f} s"]
        lines += [str(phase) for phase in self.phases if phase.remaining or phase.ended != "done"]
        lines += [f"on_stop: {type(error).__name__}: {error}" for error in self.failures]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ServiceStatistics:
    """What a `Service` is doing: the phase (``running`` before the first) and for how many seconds it has been in it,
    why it stops, and how many tasks work, how many of these are idle, and how many are in the background."""

    phase: str
    seconds: float
    reason: str | None
    working: int
    idle: int
    background: int


class Service:
    """What `serve` runs, for the code inside of it; `service` gives it."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._loop: Any = asyncio.get_running_loop()
        self._reason: str | None = None
        self._signal: int | None = None
        self._hurry = 0
        self._stopped = asyncio.Event()
        self._callbacks: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._failures: list[BaseException] = []
        self._idle: dict[asyncio.Task[Any], None] = {}
        self._lingers = False
        self._background: set[asyncio.Task[Any]] = set()
        self._own: set[asyncio.Task[Any]] = set()
        self._phases: list[Phase] = []
        self._news: asyncio.Future[None] | None = None
        self._phase_now = "running"
        self._phase_began: float = self._loop.time()

    # -- For the program

    @property
    def stopping(self) -> bool:
        """True from the moment at which the service was told to stop: what a readiness probe has to deny."""
        return self._reason is not None

    @property
    def reason(self) -> str | None:
        """Why it stops; None as long as it does not."""
        return self._reason

    @property
    def linger(self) -> float:
        """For how many seconds, from the beginning of the drain, idle connections may still bring a request."""
        return self._budgets.linger

    async def wait_stopping(self) -> None:
        """Wait until the service is told to stop.  For a main that has nothing else to do."""
        await self._stopped.wait()

    def stop(self, reason: str = "stop()") -> None:
        """Tell the service to stop, as a signal does; the second time it hurries.  For the loop's thread."""
        self._stop(reason, None)

    def on_stop(self, function: Callable[..., object], /, *args: object) -> None:
        """Have ``function(*args)`` called, and awaited if that is to be awaited, when the service is told to stop; the
        last one first.  What it raises is logged, and is in the `Ending`::

            service.on_stop(registry.remove, address)
        """
        if not callable(function):
            raise TypeError(f"on_stop() expected a function, got {function!r}")
        self._callbacks.append((function, args))

    @contextmanager
    def idle(self) -> Iterator[None]:
        """A block in which the current task waits for work and has none: for the next request of a connection.

        A service that stops does not wait for it: some time after that (``linger``) it is cancelled there::

            while True:
                with service.idle():
                    line = await reader.readline()
                await answer(line)
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("idle() is for tasks, and none is running")
        if self.stopping and not self._lingers:
            task.cancel(self._message())
        self._idle[task] = None
        try:
            yield
        finally:
            self._idle.pop(task, None)

    def start_background(self, function: Main, /, *args: Any, name: object = None) -> asyncio.Task[Any]:
        """Run ``function(*args)`` in a task that the others need: it is not waited for, and is cancelled after them."""
        task: asyncio.Task[Any] = self._loop.create_task(function(*args), name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def statistics(self) -> ServiceStatistics:
        """What it is doing at this moment."""
        return ServiceStatistics(
            self._phase_now,
            self._loop.time() - self._phase_began,
            self._reason,
            len(self._working()),
            len(self._idle),
            len(self._background),
        )

    # -- The phases

    def _stop(self, reason: str, number: int | None) -> None:
        if self._reason is None:
            self._reason = reason
            self._signal = number
            self._lingers = self._budgets.linger > 0
            self._stopped.set()
        else:
            self._hurry += 1
        self._tell()

    def _message(self) -> str:
        return "main has ended" if self._reason is None else f"the service stops: {self._reason}"

    async def _run(self, main: asyncio.Task[Any]) -> None:
        main.add_done_callback(self._tell)
        while not main.done() and self._reason is None:
            await self._hear(None)
        await self._phase("stop", self._budgets.stop, self._stop_accepting())
        if self._reason is not None:
            linger = self._loop.call_later(self._budgets.linger, self._dismiss_idle)
            try:
                await self._phase("drain", self._budgets.drain, self._drain())
            finally:
                linger.cancel()
                self._lingers = False
        await self._phase("cancel", self._budgets.cancel, self._cancel(), patience=1)
        if self._left():
            await self._phase("force", self._budgets.force, self._force(), patience=1)

    async def _phase(self, name: str, budget: float, work: Coroutine[Any, Any, None], patience: int = 0) -> None:
        """Do *work* until its time is over, or more than *patience* signals ask to hurry."""
        log.info("%s: %s, for %.1f s at most", self._message(), name, budget)
        began = self._loop.time()
        self._phase_now, self._phase_began = name, began
        task: asyncio.Task[Any] = self._loop.create_task(work, name=f"hocket.serve: {name}")
        self._own.add(task)
        task.add_done_callback(self._tell)
        ended = "done"
        while not task.done():
            left = began + budget - self._loop.time()
            if self._hurry > patience or left <= 0:
                ended = "hurried" if self._hurry > patience else "budget"
                break
            await self._hear(left)
        remaining = self._remaining() if ended != "done" else ()
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_AGAIN)
        self._phases.append(Phase(name, self._loop.time() - began, ended, remaining))
        if ended != "done":
            log.warning("%s", self._phases[-1])

    async def _hear(self, seconds: float | None) -> None:
        """Wait until there is news, or for so many seconds."""
        self._news = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self._tell)
        try:
            await self._news
        finally:
            self._news = None
            if timer is not None:
                timer.cancel()

    def _tell(self, _: object = None) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _stop_accepting(self) -> None:
        try:
            if self._reason is not None and hasattr(self._loop, "stop_accepting"):
                if self._loop.turn_newcomers_away():
                    await asyncio.sleep(min(_HANDSHAKE, self._budgets.stop / 2))
                self._loop.stop_accepting()
        finally:
            while self._callbacks:
                function, args = self._callbacks.pop()
                try:
                    result = function(*args)
                    if inspect.isawaitable(result):
                        await result
                except Exception as error:
                    self._failures.append(error)
                    log.exception("%r has failed, which was to be called when the service stops", function)

    def _dismiss_idle(self) -> None:
        self._lingers = False
        for task in list(self._idle):
            task.cancel(self._message())

    async def _drain(self) -> None:
        while left := self._working():
            await asyncio.wait(left)

    async def _cancel(self) -> None:
        for those in (self._working, self._left):
            # What they start while they clean up is theirs, and is cancelled only if they leave it behind.
            while left := those():
                for task in left:
                    task.cancel(self._message())
                await asyncio.wait(left)

    async def _force(self) -> None:
        while left := self._left():
            for task in left:
                task.cancel(self._message())
            await asyncio.wait(left, timeout=_AGAIN)

    def _left(self) -> list[asyncio.Task[Any]]:
        return [task for task in asyncio.all_tasks(self._loop) if task not in self._own]

    def _working(self) -> list[asyncio.Task[Any]]:
        return [task for task in self._left() if task not in self._background]

    def _remaining(self) -> tuple[Remaining, ...]:
        found = [_remaining_task(task) for task in self._left()]
        found.sort(key=lambda one: one.number)
        return (*found, *_remaining_calls(self._loop))


def _remaining_task(task: Any) -> Remaining:
    if not isinstance(task, Task):
        return Remaining("task", 0, task.get_name(), None, None)
    name, where = describe(task)
    code = task._made_by_code
    made = None if code is None else f"{code.co_filename}:{line_of(code, task._made_at)} in {code.co_qualname}"
    return Remaining("task", task._number, name, where, made)


def _remaining_calls(loop: Any) -> Iterable[Remaining]:
    frames = sys._current_frames()
    for job, thread in worker_threads.running():
        if job.host is None or job.host.loop is not loop:
            continue
        frame = frames.get(thread)
        where = None
        if frame is not None:
            where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        name = getattr(job.function, "__qualname__", type(job.function).__qualname__)
        yield Remaining("call in a thread", 0, name, where, None)


def service() -> Service:
    """The service in which this code runs: what `serve` or `run_until_signal` has started.

    Raises `RuntimeError` if there is none::

        if hocket.service().stopping:
            return Response(status=503)
    """
    found = _current.get()
    if found is None:
        raise RuntimeError(
            "there is no service here: this code was not started by hocket.serve() or run_until_signal()"
        )
    return found


async def run_until_signal(
    main: Main,
    /,
    *args: Any,
    signals: Iterable[int] = DEFAULT_SIGNALS,
    stop: float = 2.0,
    drain: float = 20.0,
    cancel: float = 5.0,
    force: float = 1.0,
    linger: float = 0.5,
) -> Ending:
    """Run ``main(*args)`` until it ends or one of *signals* comes, then go through the phases; give the `Ending`.

    What `serve` does, for who has a loop already.  *stop*, *drain*, *cancel* and *force* are the budgets of the phases
    in seconds, *linger* is for how many of the drain idle connections may still bring a request.  All tasks of the loop
    take part, except the one that calls this.  Nothing is raised for what main raises: it is the ending's ``error``.
    Tasks that do not end even by force are in its ``stuck``, and go on.

    Raises `RuntimeError` outside of the main thread, where no signals can be handled, unless *signals* is empty, and
    inside of another service; `TypeError` and `ValueError` for budgets that are none.  To cancel it cancels main, and
    waits for it::

        ending = await hocket.run_until_signal(main, drain=10)
    """
    budgets = Budgets(stop, drain, cancel, force, linger)
    if _current.get() is not None:
        raise RuntimeError("a service runs here already: there is one in a process, which hocket.service() gives")
    if not callable(main):
        raise TypeError(f"expected an async function, got {main!r}")
    return await _run(main, args, tuple(signals), Service(budgets), None)


async def _run(
    main: Main, args: tuple[Any, ...], numbers: tuple[int, ...], running: Service, alarm: Callable[[int], None] | None
) -> Ending:
    loop = running._loop
    current = asyncio.current_task()
    assert current is not None
    running._own.add(current)
    token = _current.set(running)

    def handle(number: int, frame: object) -> None:
        # In the main thread, between two instructions of whatever runs there: also when that is the loop.
        if alarm is not None:
            alarm(number)
        loop.call_soon_threadsafe(running._stop, Signals(number).name, number)

    before = _handle_signals(numbers, handle)
    try:
        task: asyncio.Task[Any] = loop.create_task(main(*args), name="main")
        try:
            await running._run(task)
        except BaseException:
            task.cancel()
            await asyncio.wait([task])
            raise
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        _current.reset(token)
    result = error = None
    if task.done():
        if not task.cancelled():
            error = task.exception()
            result = task.result() if error is None else None
        elif running.reason is None:
            error = asyncio.CancelledError()
    ending = Ending(running.reason, running._signal, result, error, tuple(running._phases), tuple(running._failures))
    log.log(logging.INFO if ending.drained else logging.WARNING, "%s", ending)
    return ending


def _handle_signals(numbers: tuple[int, ...], handle: Callable[[int, Any], None]) -> list[tuple[int, Any]]:
    if numbers and threading.current_thread() is not threading.main_thread():
        raise RuntimeError("signals can be handled in the main thread only: call this there, or with signals=()")
    before = []
    try:
        for number in numbers:
            before.append((number, signal.signal(number, handle)))
    except BaseException:
        for number, handler in before:
            signal.signal(number, handler)
        raise
    return before
