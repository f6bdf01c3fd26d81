"""What `hocket.core.asyncio_waits` relies on, on the Python at hand: where tasks stand that wait in asyncio's code."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import sys
import threading
from typing import Any

import pytest

import hocket
from hocket.core import asyncio_private, asyncio_waits

#: What is not on every Python: from which on, and up to which.
_SINCE = {"_AsCompletedIterator._wait_for_one": (3, 13)}
_UNTIL = {"wait_for": (3, 11), "as_completed.<locals>._wait_for_one": (3, 12)}
_EITHER = {"TaskGroup.__aexit__", "TaskGroup._aexit"}

FUNCTIONS = [
    (module, function)
    for module, functions in asyncio_waits._FUNCTIONS.items()
    for function in functions
    if not module.startswith("anyio")
    and _SINCE.get(function, (3, 0)) <= sys.version_info[:2] <= _UNTIL.get(function, (4, 0))
    and function not in _EITHER
]


def code_of(module: str, function: str) -> Any:
    """The code of a function by the name that its code has."""
    found: Any = importlib.import_module(module)
    outer, _, local = function.partition(".<locals>.")
    for name in outer.split("."):
        found = getattr(found, name)
    code = found.__code__
    if local:
        [code] = [const for const in code.co_consts if getattr(const, "co_name", "") == local]
    return code


@pytest.mark.parametrize(("module", "function"), FUNCTIONS)
def test_the_function_is_there_and_has_the_variable(module: str, function: str) -> None:
    """Under that name, so that its frame is recognised."""
    code = code_of(module, function)
    assert code.co_qualname == function
    _, variable = asyncio_waits._FUNCTIONS[module][function]
    name = variable.partition(".")[0]
    if function != "as_completed.<locals>._wait_for_one":  # which has a queue, and that is recognised
        assert name in code.co_varnames + code.co_cellvars + code.co_freevars


def test_sleep_keeps_its_timer_in_a_variable() -> None:
    """Whoever looks at ten thousand sleepers need not look at ten thousand timers to say when they wake."""
    code = code_of("asyncio.tasks", "sleep")
    assert (code.co_qualname, "h" in code.co_varnames) == ("sleep", True)


def test_a_group_waits_in_one_of_two_methods() -> None:
    """`__aexit__`, or what it calls from Python 3.13 on."""
    assert any(hasattr(asyncio.TaskGroup, name) for name in ("__aexit__", "_aexit"))


def test_a_function_of_the_programs_with_the_same_name_is_none_of_them() -> None:
    """The module counts as well."""

    class Lock:
        def acquire(self) -> Any:
            return sys._getframe()

    assert asyncio_waits.kind_of(Lock().acquire()) is None


def test_the_main_task_is_known() -> None:
    """The one that `run_until_complete` waits for, of either class."""

    async def main() -> tuple[bool, bool]:
        other = asyncio.create_task(asyncio.sleep(0))
        task: Any = asyncio.current_task()
        told = asyncio_waits.is_main(task._callbacks), asyncio_waits.is_main(other._callbacks)  # type: ignore[attr-defined]
        await other
        return told

    assert hocket.run(main()) == (True, False)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert runner.run(main()) == (True, False)


def test_what_stands_behind_a_future() -> None:
    """A call in a thread, or a future that is shielded; nothing behind one of another kind."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        source: concurrent.futures.Future[None] = concurrent.futures.Future()
        wrapped: Any = asyncio.wrap_future(source)
        assert asyncio_waits.executor_future(wrapped._callbacks) is source
        assert asyncio_waits.shielded(wrapped._callbacks) is None
        inner = loop.create_future()
        outer: Any = asyncio.shield(inner)
        assert asyncio_waits.shielded(outer._callbacks) is inner
        assert asyncio_waits.executor_future(outer._callbacks) is None
        plain: Any = loop.create_future()
        plain.add_done_callback(print)
        assert asyncio_waits.executor_future(plain._callbacks) is None
        assert asyncio_waits.shielded(plain._callbacks) is None
        assert asyncio_waits.executor_future(None) is None
        for future in (wrapped, inner, outer, plain):
            future.remove_done_callback(print)
            future.cancel()

    hocket.run(main())


def test_where_a_thread_makes_a_call() -> None:
    """The frame in which it begins has the future."""
    go, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(20)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        assert begun.wait(20)
        found = []
        for top in sys._current_frames().values():
            frame: Any = top
            while frame is not None:
                found.append(asyncio_waits.call_in(frame))
                frame = frame.f_back
        go.set()
    assert future in found


def test_what_a_runner_cancels_is_told_before() -> None:
    """To who asks, and to nobody who does not any more."""
    told: list[int] = []

    def listen(loop: Any) -> None:
        told.append(len(asyncio.all_tasks(loop)))

    async def main() -> None:
        asyncio.create_task(asyncio.sleep(30))

    before = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]
    asyncio_private.before_cancelling_all(listen)
    try:
        hocket.run(main())
    finally:
        asyncio_private.not_before_cancelling_all(listen)
    assert told == [1]
    hocket.run(main())
    assert told == [1]
    assert asyncio.runners._cancel_all_tasks is before  # type: ignore[attr-defined]
