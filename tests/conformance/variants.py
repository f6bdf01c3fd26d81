"""Test classes generated from CPython's, with hocket's Task, Future and loop as the classes under test.

Most of CPython's tests meet hocket by themselves, because every way to make a loop leads to it (`doors`). Those that
name their classes (`Task = tasks._CTask`) or their loop (`BaseEventLoop()`, `self.new_test_loop()`) do not, so each
of these gets a twin here. A twin is a subclass of the C-accelerated class of CPython, which is also its baseline:
`twin_of` tells which stock test a twin's test stands for.

Two kinds of loop: CPython's own `TestLoop` (a foreign loop with a scripted clock, on which hocket's tasks must work),
and hocket's.
"""

import asyncio
import importlib
import unittest
from asyncio import tasks
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import hocket

from . import doors
from .scripted import Script, ScriptedLoop

Twin = tuple[str, type[unittest.TestCase], str]


def new_task(*args: Any, **kwargs: Any) -> Any:
    doors.USAGE.tasks += 1
    return hocket.Task(*args, **kwargs)


class OnHocketLoop:
    """Mix-in: tests that ask for a `TestLoop` get hocket's loop, on a scripted clock where they bring a script."""

    def new_test_loop(self, gen: Script | None = None) -> Any:
        loop = doors.new_loop() if gen is None else ScriptedLoop(gen)
        self.set_event_loop(loop)  # type: ignore[attr-defined]
        return loop


class Counted:
    """A class attribute that counts how often the tests reach for the class it holds.

    A factory that counts would put a frame of ours into the tracebacks that some tests compare.
    """

    def __init__(self, cls: Any, counter: str) -> None:
        self._cls = cls
        self._counter = counter

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        setattr(doors.USAGE, self._counter, getattr(doors.USAGE, self._counter) + 1)
        return self._cls


def _counted(cls: Any) -> Any:
    if issubclass(cls, hocket.Task):
        return Counted(cls, "tasks")
    return Counted(cls, "futures") if issubclass(cls, hocket.Future) else cls


def _tasks(module: Any) -> Iterator[Twin]:
    """`BaseTaskTests` with every pairing of hocket's classes, as such and subclassed, on both kinds of loop.

    As in CPython, mixed pairings leave out the tests that call the future class's methods on a task.
    """
    lookups = {
        name: getattr(module.CTask_CFuture_Tests, name)
        for name in ("all_tasks", "current_task")
        if getattr(module.CTask_CFuture_Tests, name, None) is not None
    }
    # On 3.14 they are passed as attributes; a plain function would become a method.
    lookups = {name: staticmethod(value) for name, value in lookups.items()}

    def twin(name: str, base: str, task: Any, future: Any, *mixins: type, subclassed: bool = False) -> Twin:
        members = {"Task": task, "Future": future, **lookups}
        if subclassed:
            cls = type(name, (*mixins, module.BaseTaskTests, module.test_utils.TestCase), members)
            cls = module.add_subclass_tests(cls)
        else:
            cls = type(name, (*mixins, getattr(module, base)), members)
        cls.Task, cls.Future = _counted(cls.Task), _counted(cls.Future)
        return name, cls, base

    stock_task, stock_future = tasks._CTask, asyncio.futures._CFuture
    yield twin("HocketTask_HocketFuture_Tests", "CTask_CFuture_Tests", hocket.Task, hocket.Future)
    yield twin("HocketTask_CFuture_Tests", "CTask_PyFuture_Tests", hocket.Task, stock_future)
    yield twin("CTask_HocketFuture_Tests", "CTask_PyFuture_Tests", stock_task, hocket.Future)
    yield twin("HocketTask_PyFuture_Tests", "CTask_PyFuture_Tests", hocket.Task, asyncio.futures._PyFuture)
    yield twin(
        "HocketTask_HocketFuture_SubclassTests",
        "CTask_CFuture_SubclassTests",
        hocket.Task,
        hocket.Future,
        subclassed=True,
    )
    yield twin(
        "HocketTask_HocketFuture_OnHocketLoop_Tests", "CTask_CFuture_Tests", hocket.Task, hocket.Future, OnHocketLoop
    )
    yield twin("HocketTask_CFuture_OnHocketLoop_Tests", "CTask_PyFuture_Tests", hocket.Task, stock_future, OnHocketLoop)
    yield twin("CTask_HocketFuture_OnHocketLoop_Tests", "CTask_PyFuture_Tests", stock_task, hocket.Future, OnHocketLoop)
    yield twin(
        "HocketTask_HocketFuture_OnHocketLoop_SubclassTests",
        "CTask_CFuture_SubclassTests",
        hocket.Task,
        hocket.Future,
        OnHocketLoop,
        subclassed=True,
    )

    def current_loop_task(self: Any, coro: Any) -> Any:
        return new_task(coro, loop=self.loop)

    yield (
        "HocketCurrentLoopTests",
        type("HocketCurrentLoopTests", (module.CCurrentLoopTests,), {"new_task": current_loop_task}),
        "CCurrentLoopTests",
    )
    for base in ("FutureGatherTests", "CoroutineGatherTests", "SleepTests", "GenericTaskTests"):
        name = f"{base}_OnHocketLoop"
        yield name, type(name, (OnHocketLoop, getattr(module, base)), {}), base


def _futures(module: Any) -> Iterator[Twin]:
    """`BaseFutureTests` and its siblings with `hocket.Future` and a subclass of it, on both kinds of loop."""

    class HocketSubFuture(hocket.Future):  # type: ignore[misc,type-arg]
        pass

    def done_callback_new(cls: Any) -> Callable[[Any], Any]:
        def _new_future(self: Any) -> Any:
            doors.USAGE.futures += 1
            return cls(loop=self.loop)

        return _new_future

    for cls, label, base in (
        (hocket.Future, "HocketFuture", "CFuture"),
        (HocketSubFuture, "HocketSubFuture", "CSubFuture"),
    ):
        for mixins, suffix in (((), ""), ((OnHocketLoop,), "OnHocketLoop")):
            stock = f"{base}Tests"
            name = f"{label}{suffix}Tests"
            yield name, type(name, (*mixins, getattr(module, stock)), {"cls": _counted(cls)}), stock
            stock = f"{base}DoneCallbackTests"
            name = f"{label}{suffix}DoneCallbackTests"
            yield name, type(name, (*mixins, getattr(module, stock)), {"_new_future": done_callback_new(cls)}), stock

    def future_class(self: Any) -> Any:
        doors.USAGE.futures += 1
        return hocket.Future

    yield (
        "HocketFutureInheritanceTests",
        type("HocketFutureInheritanceTests", (module.CFutureInheritanceTests,), {"_get_future_cls": future_class}),
        "CFutureInheritanceTests",
    )
    yield "DuckTests_OnHocketLoop", type("DuckTests_OnHocketLoop", (OnHocketLoop, module.DuckTests), {}), "DuckTests"


def _futures2(module: Any) -> Iterator[Twin]:
    yield (
        "HocketFutureTests",
        type("HocketFutureTests", (module.CFutureTests,), {"cls": staticmethod(new_task)}),
        "CFutureTests",
    )


def _eager(module: Any) -> Iterator[Twin]:
    """Eager and counted task factories over `hocket.Task`."""
    for base in ("CEagerTaskFactoryLoopTests", "NonEagerCTaskTests", "EagerCTaskTests"):
        name = base.replace("C", "Hocket", 1)
        yield name, type(name, (getattr(module, base),), {"Task": _counted(hocket.Task)}), base


def _free_threading(module: Any) -> Iterator[Twin]:
    def factory(self: Any, loop: Any, coro: Any, **kwargs: Any) -> Any:
        return new_task(coro, loop=loop, **kwargs)

    def eager_factory(self: Any, loop: Any, coro: Any, eager_start: bool = True, **kwargs: Any) -> Any:
        return new_task(coro, loop=loop, eager_start=eager_start, **kwargs)

    for base, make in (("TestCFreeThreading", factory), ("TestEagerCFreeThreading", eager_factory)):
        name = base.replace("C", "Hocket", 1)
        yield name, type(name, (getattr(module, base),), {"factory": make}), base


def _one_turn(loop: Any) -> Callable[[], None]:
    """What the tests call `_run_once`, in public terms: the turn that runs what is ready now."""

    def turn() -> None:
        loop.call_soon(loop.stop)
        loop.run_forever()

    return turn


def _base_events(module: Any) -> Iterator[Twin]:
    """`BaseEventLoopTests` on hocket's loop; `_run_once` is the only private name lent to it."""
    base = module.BaseEventLoopTests

    def set_up(self: Any) -> None:
        super(base, self).setUp()
        self.loop = doors.new_loop()
        if not hasattr(hocket.EventLoop, "_run_once"):
            self.loop._run_once = _one_turn(self.loop)
        self.set_event_loop(self.loop)

    yield "HocketEventLoopTests", type("HocketEventLoopTests", (base,), {"setUp": set_up}), "BaseEventLoopTests"


def _pep492(module: Any) -> Iterator[Twin]:
    def set_up(self: Any) -> None:
        super(module.BaseTest, self).setUp()
        self.loop = doors.new_loop()
        self.set_event_loop(self.loop)

    for base in ("LockTests", "CoroutineTests"):
        name = f"{base}_OnHocketLoop"
        yield name, type(name, (getattr(module, base),), {"setUp": set_up}), base


def _runners(module: Any) -> Iterator[Twin]:
    def new_loop(self: Any) -> Any:
        loop = doors.new_loop()
        loop.shutdown_ag_run = False

        async def shutdown_asyncgens() -> None:
            loop.shutdown_ag_run = True

        loop.shutdown_asyncgens = shutdown_asyncgens
        return loop

    for base in ("RunTests", "RunnerTests"):
        name = f"{base}_OnHocketLoop"
        yield name, type(name, (getattr(module, base),), {"new_loop": new_loop}), base


_TWINS: dict[str, Callable[[Any], Iterator[Twin]]] = {
    "test_base_events": _base_events,
    "test_eager_task_factory": _eager,
    "test_free_threading": _free_threading,
    "test_futures": _futures,
    "test_futures2": _futures2,
    "test_pep492": _pep492,
    "test_runners": _runners,
    "test_tasks": _tasks,
}

# Dotted name of a twin class -> name of the stock class that is its baseline; written by `add_to`.
BASELINES: dict[str, str] = {}


def add_to(dotted: str) -> None:
    """Import the module and put its twins in it, where the loader and the tests' ids expect classes to be."""
    make = _TWINS.get(dotted.rpartition(".")[2])
    if make is None:
        return
    module: ModuleType = importlib.import_module(dotted)
    for name, cls, base in make(module):
        cls.__module__ = dotted
        cls.__qualname__ = name
        setattr(module, name, cls)
        BASELINES[f"{dotted}.{name}"] = base


def twin_of(test_id: str) -> str:
    """The stock test that this one stands for; itself when it is no twin's."""
    owner, _, method = test_id.rpartition(".")
    module = owner.rpartition(".")[0]
    return f"{module}.{BASELINES[owner]}.{method}" if owner in BASELINES else test_id
