"""What of a program can still be reached by code that may run: the idea of Go's goroutine leak profile.

Code that may run is what stands on a thread's stack, what timers, descriptors and signals will call, and what other
modules can call by name: from there one can get at some objects and not at others.  A task that waits for something
nobody can get at will wait for ever.  It is not enough to ask the garbage collector, since what the task itself holds
keeps it alive; so the search does not go through tasks, unless it is known that they will go on.

What is found is too much rather than too little: all that could be looked up by a name, followed from a weak reference
or taken out of a container counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import signal
import sys
import weakref
from collections.abc import Iterable
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType, ModuleType
from typing import Any

from hocket.core import asyncio_waits
from hocket.core.scheduler import Scheduler
from hocket.core.wait import Line, Wait
from hocket.observe.frames import is_library, locals_of, names_in_use, running_frames
from hocket.primitives.locks import Lock

#: Leads nowhere.
_LEAVES = frozenset(
    {int, str, bytes, float, bool, complex, type(None), bytearray, CodeType, FrameType, type(Ellipsis), range, slice}
)
#: Modules whose variables are not the program's: what tasks there are is written there.
_OPAQUE_MODULES = ("hocket", "asyncio", "_asyncio", "gc", "weakref", "_weakrefset")
_CHUNK = 1000
_LOCKS = (Lock, *asyncio_waits.LOCKS)
_LOOPS = (asyncio.AbstractEventLoop,)


class Reach:
    """The objects that were found so far, by number.  *tasks* are found, but not looked into; nor are their *parts*,
    the coroutines that they run.

    It gives up after *most* objects: then `complete` is False, and nothing can be said of what was not found.
    """

    def __init__(self, loops: Iterable[Any], tasks: Iterable[Any], parts: Iterable[Any], most: int) -> None:
        self.complete = True
        self._seen: set[int] = {id(self.__dict__), id(self)}
        self._seen.update(map(id, parts))
        # By number, too: tasks of classes of their own may say that they are equal.
        self._tasks = set(map(id, tasks))
        self._most = most
        self._roots: list[Any] = []
        self._add_modules()
        self._add_threads()
        self._add_signals()
        for loop in loops:
            self._add_loop(loop)
        roots, self._roots = self._roots, []
        self.add(roots)

    def __contains__(self, thing: object) -> bool:
        return id(thing) in self._seen

    # -- Where it begins

    def _add_modules(self) -> None:
        for name, module in list(sys.modules.items()):
            if not isinstance(module, ModuleType):
                continue
            if name.partition(".")[0] in _OPAQUE_MODULES:
                self._seen.add(id(module))
                self._seen.add(id(vars(module)))
            else:
                self._roots.append(module)

    def _add_threads(self) -> None:
        for top in sys._current_frames().values():
            for frame in running_frames(top):
                if is_library(frame):
                    # A loop of asyncio's own that runs in a thread has timers and tasks, of which nothing is known.
                    self._roots += [value for value in _loop_in(frame) if issubclass(type(value), _LOOPS)]
                    continue
                in_use = names_in_use(frame)
                self._roots += [value for name, value in locals_of(frame).items() if name in in_use]

    def _add_signals(self) -> None:
        for number in signal.valid_signals():
            handler = None
            with contextlib.suppress(ValueError, OSError):
                handler = signal.getsignal(number)
            function = handler.func if isinstance(handler, functools.partial) else handler
            # `asyncio.Runner` cancels the main task when Ctrl-C is pressed: that wakes nobody in time.
            if callable(handler) and not _module(function).startswith(("asyncio.", "hocket.")):
                self._roots.append(handler)

    def _add_loop(self, loop: Any) -> None:
        self._seen.add(id(loop))
        self._seen.add(id(vars(loop)))
        self._roots += [value for name, value in list(vars(loop).items()) if name not in ("_live", "_asyncgens")]
        self._roots += loop.upcoming()
        self._roots += loop._scheduled.snapshot()
        for _, reader, writer in loop._driver.watches():
            self._roots += [reader, writer]

    # -- How it goes on

    def add(self, things: Iterable[Any]) -> None:
        """Look for all that can be reached from *things*."""
        seen = self._seen
        level = self._new(list(things))
        while level and self.complete:
            following: list[Any] = []
            for start in range(0, len(level), _CHUNK):
                chunk = level[start : start + _CHUNK]
                kinds: list[Any] = list(map(type, chunk))
                through = [
                    thing
                    for thing, kind in zip(chunk, kinds, strict=True)
                    if not _is_opaque(kind) and id(thing) not in self._tasks and not _is_running(thing, kind)
                ]
                following += self._new(gc.get_referents(*through))
                following += self._new(_referred(chunk))
            level = following
            self.complete = len(seen) < self._most

    def _new(self, things: list[Any]) -> list[Any]:
        seen = self._seen
        found = []
        for thing in things:
            if type(thing) not in _LEAVES and id(thing) not in seen:
                seen.add(id(thing))
                found.append(thing)
        return found


@functools.lru_cache(maxsize=4096)
def _is_opaque(kind: Any) -> bool:
    """Whether to reach something of this *kind* is not to reach what it holds: loops of ours, which have been looked
    through, locks, which hold those who wait, and the lines in which those stand."""
    return issubclass(kind, (Wait, Line, Scheduler, *_LOCKS)) or kind.__name__ == "coroutine_wrapper"


def _is_running(thing: Any, kind: Any) -> bool:
    """Whether *thing* is a coroutine or generator that runs: then it stands on a thread's stack, and has been looked at
    with what it may still look at itself."""
    if kind is CoroutineType:
        running: bool = thing.cr_running
    elif kind is GeneratorType:
        running = thing.gi_running
    elif kind is AsyncGeneratorType:
        running = thing.ag_running and thing.ag_await is None
    else:
        running = False
    return running


def _loop_in(frame: FrameType) -> list[Any]:
    """What the method that runs in *frame*, if it is the turn of a loop, belongs to."""
    return [locals_of(frame).get("self")] if frame.f_code.co_name in ("_run_once", "run_forever") else []


def _referred(things: list[Any]) -> list[Any]:
    """What the weak references among *things* refer to."""
    found = []
    for thing in things:
        if type(thing) in (weakref.ref, weakref.KeyedRef, weakref.WeakMethod):
            referred = thing()
            if referred is not None:
                found.append(referred)
    return found


def _module(function: Any) -> str:
    return str(getattr(function, "__module__", None) or "")
