"""What all policies have in common, and the way of a call through those that only open and close a door.

Two kinds exist.  A *guard* (`Guard`) decides before a call, and hears how it went: breaker, limiter, bulkhead, timeout.
It can stand around a function, around a block, and in a pipeline.  Every other policy runs the call, perhaps more than
once or not at all, and defines ``async def run(self, call)``: retry, hedging, fallback.

Guards that follow each other in a pipeline are passed in one go (`Passage`): where none has to wait, no coroutine is
made for any of them, and the clock is read once for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hocket.core.engine import Engine
from hocket.core.wait import Line, Wait
from hocket.native.freelist import keep_spare
from hocket.primitives.bound import LoopBound

try:
    import cython
except ImportError:
    from hocket.native import uncompiled as cython
if not cython.compiled:
    from hocket.primitives.bound import running

if TYPE_CHECKING:
    from hocket.resilience.events import Listener


class Policy(LoopBound):
    """Base of all policies.

    A policy of your own derives from it and defines ``async def run(self, call)``, which awaits ``call()`` as often as
    it likes and returns a result.  ``name`` is what logs, metrics and `statistics` call it.
    """

    #: Why it cannot stand around a block; None: it can.
    no_block: str | None = "it decides whether and how often its call is made, and a block of code runs once"

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"{type(self).__name__}: the name is a string, got {name!r}")
        self._loop = None
        self.name = type(self).__name__ if name is None else name
        self._listeners: list[Listener] | None = None
        # For blocks: what each task that is inside has come in with.
        self._blocks: dict[Any, list[Any]] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>" if self.name != type(self).__name__ else f"<{self.name}>"

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Use the policy as a decorator: each call of the coroutine function goes through it.

        Raises `TypeError` for what cannot be awaited: a plain function, an asynchronous generator.
        """
        from hocket.resilience import calls

        return calls.decorate(self, function)

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """``await policy.call(function, *args, **kwargs)`` makes one call through the policy."""
        from hocket.resilience import calls

        return calls.under(calls.stages_of(self), function)(*args, **kwargs)

    def bind(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function like *function*, whose calls go through this policy alone."""
        from hocket.resilience import calls

        return calls.surrounded(self, function)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have *listener* called with each `hocket.resilience.Decision` of this policy; returns what ends it."""
        from hocket.resilience import events

        if self._listeners is None:
            self._listeners = []
        return events.add(self._listeners, listener)

    def statistics(self) -> Any:
        """What the policy has done so far: a frozen dataclass."""
        raise NotImplementedError(f"{type(self).__name__} must define statistics()")

    def __aenter__(self) -> Any:
        raise TypeError(f"{self!r} cannot be used with `async with`: {self.no_block}")

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        raise TypeError(f"{self!r} cannot be used with `async with`: {self.no_block}")

    # -- For the policies

    def _tell(
        self,
        what: str,
        now: float,
        error: BaseException | None = None,
        seconds: float | None = None,
        number: float | None = None,
    ) -> None:
        """Tell whoever listens of a decision."""
        from hocket.resilience import events

        if self._listeners or events.everywhere:
            events.tell(self._listeners, events.Decision(self, what, now, error, seconds, number))

    def _stand_in(self, line: Line, wait: Wait) -> Any:
        """Have *wait* stand in *line*, which belongs to the loop on which somebody waits there."""
        loop = running()
        if self._loop is not loop:
            if len(line):
                raise RuntimeError(f"{self!r} is in use on another event loop")
            self._loop = loop
        line.join(wait)
        return wait._suspend(loop)


class Guard(Policy):
    """Base of the policies that let a call in, or refuse it, and hear how it went."""

    no_block = None

    def __aenter__(self) -> Any:
        from hocket.resilience import calls

        return calls.enter_block(self, (self,))

    def __aexit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        from hocket.resilience import calls

        return calls.leave_block(self, error)

    def _admit(self, now: float) -> Any:
        """Let one call in, at the time *now*: gives a note that `_leave` is to have, or a `Wait` that must be awaited
        before.  Raises `Refused`."""
        return None

    def _admitted(self, wait: Wait, now: float) -> Any:
        """*wait* is over, at the time *now*, and the call is in: gives the note."""
        return None

    def _leave(self, note: Any, now: float, error: BaseException | None) -> BaseException | None:
        """The call has ended, with *error* if that is not None.  Gives what is to be raised in its place, or None."""
        return None


class Guards:
    """Guards that follow each other, the outermost first."""

    __slots__ = ("_guards",)

    def __init__(self, guards: tuple[Guard, ...]) -> None:
        self._guards = guards

    def enter(self) -> Passage:
        """Begin a call: gives its `Passage`, which may have to wait."""
        return enter(self)


class Passage:
    """One call on its way through guards.  While ``waits`` is not None, it is to be awaited, and then `go_on`."""

    __slots__ = ("_guards", "_notes", "_passed", "waits")

    _guards: tuple[Guard, ...]
    _notes: list[Any]
    _passed: int
    waits: Any

    def go_on(self) -> None:
        """What was to be awaited is over."""
        guard = self._guards[self._passed]
        wait = self.waits
        self.waits = None
        now = now_here()
        try:
            note = guard._admitted(wait, now)
        except BaseException as error:
            self._unwind(error, now)
            raise
        self._notes.append(note)
        self._passed += 1
        self._advance(now)

    def leave(self) -> None:
        """The call has succeeded."""
        self._unwind(None, now_here())

    def fail(self, error: BaseException) -> None:
        """The call has raised *error*, or its wait has.  Raises what the guards put in its place, or returns."""
        self.waits = None
        self._unwind(error, now_here())

    def _advance(self, now: float) -> None:
        guards = self._guards
        try:
            while self._passed < len(guards):
                guard = guards[self._passed]
                note = guard._admit(now)
                if isinstance(note, Wait):
                    self.waits = note
                    return
                self._notes.append(note)
                self._passed += 1
        except BaseException as error:
            self._unwind(error, now)
            raise

    def _unwind(self, error: BaseException | None, now: float) -> None:
        """Leave all guards that have been passed, the innermost first."""
        raised = error
        while self._passed > 0:
            self._passed -= 1
            guard = self._guards[self._passed]
            try:
                replaced = guard._leave(self._notes[self._passed], now, raised)
            except BaseException as broken:
                # The others must hear of the end in any case.
                replaced = broken
            if replaced is not None:
                raised = replaced
        self._notes.clear()
        if raised is not error and raised is not None:
            raise raised from error


keep_spare(Passage, 256)


def enter(guards: Guards) -> Passage:
    passage = Passage.__new__(Passage)
    passage._guards = guards._guards
    passage._notes = []
    passage._passed = 0
    passage.waits = None
    passage._advance(now_here())
    return passage


def now_here() -> float:
    """The time of the running loop; `RuntimeError` without one."""
    loop = running()
    if isinstance(loop, Engine):
        engine = loop
        return engine._now()
    return loop.time()  # type: ignore[no-any-return]


def now_if_running() -> float | None:
    """The time of the running loop; None without one."""
    try:
        return now_here()
    except RuntimeError:
        return None
