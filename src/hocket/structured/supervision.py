"""Supervision: tasks that are to run for as long as the service does, and are started again when they fail.

The semantics are those of Erlang's supervisors (OTP's ``supervisor`` behaviour): children are started in order and
stopped in reverse; a strategy says who is started again together with the one that has failed; and a supervisor whose
children fail too often gives up, so that somebody further up can try from a better state.

What ends a child has two forms here, as has cancellation: it is asked by `Task.cancel`, which lets it clean up in
peace, and after its ``grace`` its scope is cancelled, which interrupts every suspension.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from hocket.core.scope import CancelScope
from hocket.primitives.queues import Queue
from hocket.primitives.taskgroups import TaskGroup
from hocket.structured import checks
from hocket.structured.backoff import Backoff

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
Restart = Literal["permanent", "transient", "temporary"]

_STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
_RESTARTS = ("permanent", "transient", "temporary")


class RestartLimitExceeded(Exception):
    """The children of a `Supervisor` have failed more often than its intensity allows.

    Its ``__cause__`` is the last failure; ``failures`` are those of the period, the last one behind the others.
    """

    def __init__(self, message: str, failures: list[BaseException | None]) -> None:
        super().__init__(message)
        self.failures = failures


@dataclass(frozen=True, slots=True)
class ChildStatistics:
    """A child of a `Supervisor`: what it is called, what it does (``"starting"``, ``"running"``, ``"waiting"`` for its
    next start, ``"stopping"`` or ``"ended"``), how often it has been started, and what it has raised last."""

    name: str
    state: str
    starts: int
    last_failure: BaseException | None


@dataclass(frozen=True, slots=True)
class SupervisorStatistics:
    """A `Supervisor`: its children in the order of their start, and how often one of them was started again."""

    children: tuple[ChildStatistics, ...]
    restarts: int


class Child:
    """One task under supervision, over all its lives; made by `Supervisor.start`."""

    def __init__(
        self,
        supervisor: Supervisor,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        name: str,
        restart: Restart,
        grace: float,
        reports: bool,
    ) -> None:
        self._supervisor = supervisor
        self._function = function
        self._args = args
        self.name = name
        self.restart = restart
        self.grace = grace
        self._reports = reports
        #: What it handed to ``task_status.started`` in this life.
        self.value: Any = None
        self.starts = 0
        self.last_failure: BaseException | None = None
        self.state = "starting"
        # Whether it has ended for good.
        self._over = False
        # This life: its scope, its task, and what it came to.
        self._scope: CancelScope | None = None
        self._task: Any = None
        self._outcome: BaseException | None = None
        self._began = 0.0
        # Failures in a row.
        self._failures = 0

    def __repr__(self) -> str:
        return f"<Child {self.name!r} {self.state} starts={self.starts}>"

    async def _live(self, *, task_status: Any = None) -> None:
        """One life.  What it comes to is told to the supervisor; before it is ready, to whoever starts it."""
        self._outcome = None
        self._task = asyncio.current_task()
        try:
            # Not shielded until it is ready: until then it belongs to whoever starts it.
            with CancelScope(shield=task_status is None) as self._scope:
                if task_status is None:
                    await self._function(*self._args)
                else:
                    await self._function(*self._args, task_status=_Started(self, task_status))
                    if self.state == "starting":
                        raise RuntimeError(f"{self!r} has returned without having called task_status.started()")
        except BaseException as error:
            self._outcome = error
            if self.state == "starting" or not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
        finally:
            if self.state != "starting":
                self._supervisor._note_end(self)


class _Started:
    """``task_status`` for a child: tells whoever starts it, and the child."""

    def __init__(self, child: Child, status: Any) -> None:
        self._child = child
        self._status = status

    def started(self, value: Any = None) -> None:
        """Say that the child is ready."""
        self._status.started(value)
        child = self._child
        child.value = value
        if child.state == "starting":
            child.state = "running"
            # From now on it ends when the supervisor says so, in its turn.
            child._scope.shield = True  # type: ignore[union-attr]


class Supervisor:
    """Keeps its children running.  To be used with ``async with``; semantics of Erlang's ``supervisor``.

    *strategy* says who is started again when a child fails: ``"one_for_one"`` that child only, ``"one_for_all"`` all of
    them, ``"rest_for_one"`` that child and those that were started after it.  Those that have to be stopped for that
    are stopped in reverse order, and all are started in order.

    *intensity* is how many restarts there may be within *period* seconds; one more, and the supervisor stops all
    children and raises `RestartLimitExceeded`, in an `ExceptionGroup` as from a task group.  *backoff* says how long to
    wait before a restart, and begins anew for a child that has run for longer than the period; None: not at all.
    *grace* is for how many seconds a child may clean up after it was asked to end by `Task.cancel`, before its scope is
    cancelled and every suspension raises.  *on_failure* is called with a child and what it has raised, before it is
    started again; by default that is told to the loop's exception handler.

    At the end of the block the supervisor waits for its children, as a task group does; when the block raises, is
    cancelled, or `stop` was called, they are stopped in reverse order.  A scope around the supervisor that is cancelled
    does not reach the children, once they are ready: it ends the block, and that ends them in their order::

        async with hocket.Supervisor(intensity=5, period=60) as supervisor:
            database = await supervisor.start(run_database_pool)
            await supervisor.start(run_workers, database.value)
            supervisor.start_soon(report_metrics)

    Raises `ValueError` for a strategy that is none, and for negative numbers.
    """

    def __init__(
        self,
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 3,
        period: float = 5.0,
        backoff: Backoff | None = None,
        grace: float = 5.0,
        on_failure: Callable[[Child, Exception], object] | None = None,
    ) -> None:
        if strategy not in _STRATEGIES:
            raise ValueError(f"strategy is one of {', '.join(_STRATEGIES)}; got {strategy!r}")
        if isinstance(intensity, bool) or not isinstance(intensity, int):
            raise TypeError(f"intensity is a number of restarts, an int of 0 or more; got {intensity!r}")
        if intensity < 0:
            raise ValueError(f"intensity is a number of restarts, an int of 0 or more; got {intensity!r}")
        if backoff is not None and not isinstance(backoff, Backoff):
            raise TypeError(f"backoff is a hocket.Backoff or None; got {backoff!r}")
        self.strategy: Strategy = strategy
        self.intensity = intensity
        self.period = checks.seconds("Supervisor", "period", period, endless=True)
        self.backoff = backoff
        self.grace = checks.seconds("Supervisor", "grace", grace, endless=True)
        if on_failure is not None and not callable(on_failure):
            raise TypeError(f"on_failure is to be called with a child and its exception; got {on_failure!r}")
        self._on_failure = _report if on_failure is None else on_failure
        self._group = TaskGroup()
        # What the program does in the block: it ends when the supervisor does.
        self._block = CancelScope()
        self._children: list[Child] = []
        self._ends: Queue = Queue()
        self._recent: deque[tuple[float, BaseException | None]] = deque()
        self._restarts = 0
        self._supervising: Any = None
        # Whether ends of children are of no consequence any more.
        self._stopping = False
        # Whether the block is over: then the supervisor is, too, as soon as all children have ended for good.
        self._leaving = False

    def __repr__(self) -> str:
        return f"<Supervisor {self.strategy} children={len(self._children)} restarts={self._restarts}>"

    # -- The block

    async def __aenter__(self) -> Supervisor:
        await self._group.__aenter__()
        self._supervising = self._group.create_task(self._supervise(), name="supervisor")
        self._block.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._leaving = True
        if self._block.__exit__(kind, error, traceback):
            kind = error = traceback = None
        if error is not None:
            # Asked to end, each in its turn; the group would ask all at once.
            await self._stop_in_spite_of_cancellation()
        else:
            self._ends.put_nowait(None)
            try:
                await asyncio.wait([self._supervising])
            except asyncio.CancelledError as cancelled:
                await self._stop_in_spite_of_cancellation()
                kind, error, traceback = type(cancelled), cancelled, cancelled.__traceback__
        caught: bool | None = await self._group.__aexit__(kind, error, traceback)
        return caught

    async def stop(self) -> None:
        """Stop all children, the last one first, and end the block; returns when they have ended.

        Each is asked by `Task.cancel`, and has its grace.  Not to be called from inside of a child: `RuntimeError`.
        """
        if asyncio.current_task() in {child._task for child in self._children}:
            raise RuntimeError("a child cannot wait for its own end: stop() is for whoever supervises")
        await self._stop(self._children)
        self._group.cancel("the supervisor was stopped")

    async def _stop_in_spite_of_cancellation(self) -> None:
        with CancelScope(shield=True):
            stopping = asyncio.ensure_future(self._stop(self._children))
            while not stopping.done():
                try:
                    await asyncio.wait([stopping])
                except asyncio.CancelledError:
                    # Told again: those who take their time are hurried.
                    for child in self._children:
                        if child._scope is not None and child.state != "ended":
                            child._scope.cancel("hurried")
            stopping.result()

    # -- Children

    async def start(
        self,
        function: Callable[..., Any],
        *args: Any,
        name: str | None = None,
        restart: Restart = "permanent",
        grace: float | None = None,
    ) -> Child:
        """Call ``function(*args, task_status=status)`` in a child, wait until that calls ``status.started(value)``, and
        give the `Child`, whose ``value`` that is; as with `TaskGroup.start`.  The next child is started after that, now
        and at every restart.

        *restart*: ``"permanent"``, whenever it ends; ``"transient"``, when it fails; ``"temporary"``, never.  What it
        raises before it is ready comes out here the first time.
        """
        child = self._new_child(function, args, name, restart, grace, True)
        await self._start(child)
        return child

    def start_soon(
        self,
        function: Callable[..., Any],
        *args: Any,
        name: str | None = None,
        restart: Restart = "permanent",
        grace: float | None = None,
    ) -> Child:
        """Call ``function(*args)`` in a child that does not tell when it is ready."""
        child = self._new_child(function, args, name, restart, grace, False)
        self._launch(child)
        return child

    def statistics(self) -> SupervisorStatistics:
        """What the children do, and how often they failed."""
        return SupervisorStatistics(
            tuple(
                ChildStatistics(child.name, child.state, child.starts, child.last_failure) for child in self._children
            ),
            self._restarts,
        )

    def _new_child(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        name: str | None,
        restart: Restart,
        grace: float | None,
        reports: bool,
    ) -> Child:
        if self._supervising is None:
            raise RuntimeError(f"{self!r} has not been entered")
        if self._stopping or self._supervising.done():
            raise RuntimeError(f"{self!r} is stopping, or has stopped")
        if not callable(function):
            raise TypeError(f"an async function was expected, got {function!r}")
        if restart not in _RESTARTS:
            raise ValueError(f"restart is one of {', '.join(_RESTARTS)}; got {restart!r}")
        if name is None:
            name = getattr(function, "__qualname__", repr(function))
        child = Child(
            self,
            function,
            args,
            name,
            restart,
            self.grace if grace is None else checks.seconds("Supervisor", "grace", grace, endless=True),
            reports,
        )
        self._children.append(child)
        return child

    async def _start(self, child: Child) -> None:
        if not child._reports:
            self._launch(child)
            return
        child.state = "starting"
        child.starts += 1
        child._began = asyncio.get_running_loop().time()
        try:
            await self._group.start(child._live, name=child.name)
        except BaseException as error:
            child.state = "ended"
            child.last_failure = error
            if child.starts == 1:
                self._children.remove(child)
            raise

    def _launch(self, child: Child) -> None:
        child.state = "running"
        child.starts += 1
        child._began = asyncio.get_running_loop().time()
        child._task = self._group.create_task(child._live(), name=child.name)

    async def _stop(self, children: list[Child]) -> None:
        """Stop those of *children* that run, the last one first."""
        if children is self._children:
            self._stopping = True
        for child in list(reversed(children)):
            await self._stop_one(child)

    async def _stop_one(self, child: Child) -> None:
        task = child._task
        if child.state == "waiting":
            child.state = "ended"
        if task is None or task.done() or child.state == "ended":
            return
        child.state = "stopping"
        task.cancel()
        await asyncio.wait([task], timeout=None if child.grace == math.inf else child.grace)
        if not task.done() and child._scope is not None:
            child._scope.cancel(f"{child.name} did not end within {child.grace:g} seconds")
            await asyncio.wait([task])

    def _note_end(self, child: Child) -> None:
        asked = child.state == "stopping" or self._stopping
        child.state = "ended"
        if asked:
            return
        self._ends.put_nowait((child, child._outcome))

    # -- Restarts

    async def _supervise(self) -> None:
        try:
            while not (self._leaving and self._is_idle()):
                end = await self._ends.get()
                if end is None or self._stopping:
                    continue
                child, outcome = end
                if child.state == "ended":  # Otherwise another one has failed, and it was started again with that.
                    await self._take_care_of(child, outcome)
        except RestartLimitExceeded as error:
            self._block.cancel(str(error))
            await self._stop(self._children)
            raise

    def _is_idle(self) -> bool:
        return self._ends.empty() and all(child.state == "ended" for child in self._children)

    async def _take_care_of(self, child: Child, outcome: BaseException | None) -> None:
        failed = isinstance(outcome, Exception)
        if isinstance(outcome, Exception):
            child.last_failure = outcome
            self._on_failure(child, outcome)
        if child.restart == "temporary" or (child.restart == "transient" and not failed):
            child._over = True
            return
        now = asyncio.get_running_loop().time()
        child._failures = 1 if now - child._began > self.period else child._failures + 1
        self._count_restart(child, outcome, now)
        child.state = "waiting"
        if self.strategy == "one_for_one":
            # Another one that fails meanwhile has not to wait for this one.
            self._group.create_task(self._restart(child, [child]), name=f"restart of {child.name}")
        else:
            await self._restart(child, self._group_of(child))

    async def _restart(self, child: Child, group: list[Child]) -> None:
        """Start the *group* of *child*, which has failed, again."""
        # Those that go down with it, the last one first.
        await self._stop([each for each in group if each is not child])
        if self.backoff is not None:
            await asyncio.sleep(self.backoff.delay(child._failures))
        for each in group:
            if self._stopping:
                return
            if each is not child and (each._over or each.restart == "temporary"):
                continue
            try:
                await self._start(each)
            except Exception as error:
                # Failed while it was starting: that is a failure like any other; those behind it wait for their turn.
                self._ends.put_nowait((each, error))
                return

    def _group_of(self, child: Child) -> list[Child]:
        if self.strategy == "one_for_all":
            return list(self._children)
        return self._children[self._children.index(child) :]

    def _count_restart(self, child: Child, outcome: BaseException | None, now: float) -> None:
        self._recent.append((now, outcome))
        while self._recent[0][0] < now - self.period:
            self._recent.popleft()
        if len(self._recent) > self.intensity:
            raise RestartLimitExceeded(
                f"more than {self.intensity} restarts within {self.period:g} seconds; {child.name} was the last to end",
                [failure for _, failure in self._recent],
            ) from outcome
        self._restarts += 1


def _report(child: Child, error: Exception) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"{child!r} of a supervisor has failed", "exception": error}
    )
