"""Handles that the garbage collector does not see, and memory that is used again."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import time
import weakref
from typing import Any

import pytest

import hocket
from hocket.native import freelist


class Owner:
    """Holds the handle of a callback of its own: a cycle."""

    def __init__(self, schedule: Any) -> None:
        self.ran = False
        self.handle = schedule(self.run)

    def run(self) -> None:
        self.ran = True


@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe"])
@pytest.mark.parametrize("settled", ["runs", "is cancelled"])
def test_a_cycle_through_a_handle_is_collected(method: str, settled: str) -> None:
    """A handle that its callback's owner keeps does not outlive the two."""

    async def main() -> weakref.ref[Owner]:
        owner = Owner(getattr(asyncio.get_running_loop(), method))
        if settled == "is cancelled":
            owner.handle.cancel()
        await asyncio.sleep(0.01)
        assert owner.ran is (settled == "runs")
        return weakref.ref(owner)

    gone = hocket.run(main())
    gc.collect()
    assert gone() is None


def test_a_cycle_through_a_handle_that_never_ran_is_collected() -> None:
    """What a loop has not come to when it stops can be garbage together with the loop."""
    loop = hocket.new_event_loop()

    owners: list[Owner] = []

    def schedule_and_stop(loop: asyncio.AbstractEventLoop) -> None:
        owners.append(Owner(loop.call_soon))
        loop.stop()

    loop.call_soon(schedule_and_stop, loop)
    loop.run_forever()
    assert not owners[0].ran
    gone = weakref.ref(owners.pop())
    with pytest.warns(ResourceWarning, match="unclosed event loop"):  # noqa: PT031  # the warning comes with either
        del loop
        gc.collect()
    assert gone() is None


def test_a_cycle_through_a_handle_made_while_the_loop_stands_is_collected() -> None:
    """Callbacks of a loop that never runs can be garbage together with the loop."""
    loop = hocket.new_event_loop()
    gone = weakref.ref(Owner(loop.call_soon))
    with pytest.warns(ResourceWarning, match="unclosed event loop"):  # noqa: PT031  # the warning comes with either
        del loop
        gc.collect()
    assert gone() is None


@pytest.mark.parametrize("runs", [True, False], ids=["while the loop runs", "while it stands"])
def test_a_cycle_through_a_pending_task_is_collected(runs: bool) -> None:
    """A task that waits for ever can be garbage together with a loop that nobody closed."""
    loop = hocket.new_event_loop()
    loop.set_exception_handler(lambda *_: None)

    class Kept:
        task: Any

    async def wait(kept: Kept) -> None:
        await asyncio.get_running_loop().create_future()

    async def begin() -> weakref.ref[Kept]:
        kept = Kept()
        kept.task = asyncio.create_task(wait(kept))
        await asyncio.sleep(0)
        return weakref.ref(kept)

    if runs:
        gone = loop.run_until_complete(begin())
    else:
        kept = Kept()
        kept.task = loop.create_task(wait(kept))
        gone = weakref.ref(kept)
        loop.run_until_complete(asyncio.sleep(0))
        del kept
    assert gone() is not None
    with pytest.warns(ResourceWarning, match="unclosed event loop"):  # noqa: PT031  # the warning comes with either
        del loop
        gc.collect()
    assert gone() is None


@pytest.mark.parametrize("state", ["pending", "due when the loop stops", "cancelled when the loop stops"])
def test_a_cycle_through_a_sleeping_task_is_collected(state: str) -> None:
    """A task in hocket.sleep() can be garbage together with a loop that nobody closed, whether it is due or not."""
    loop = hocket.new_event_loop()
    loop.set_exception_handler(lambda *_: None)

    class Kept:
        task: Any

    async def wait(kept: Kept) -> None:
        await hocket.sleep(60 if state == "pending" else 0.02)

    async def begin() -> weakref.ref[Kept]:
        kept = Kept()
        kept.task = asyncio.create_task(wait(kept))
        await asyncio.sleep(0)
        if state == "due when the loop stops":
            # The timer runs in the turn in which the loop stops; the step of the task would come after that.
            time.sleep(0.03)
        elif state == "cancelled when the loop stops":
            kept.task.cancel()
        return weakref.ref(kept)

    gone = loop.run_until_complete(begin())
    with pytest.warns(ResourceWarning, match="unclosed event loop"):  # noqa: PT031  # the warning comes with either
        del loop
        gc.collect()
    assert gone() is None


@pytest.mark.parametrize("eager", [False, True], ids=["", "eager"])
def test_a_cycle_through_a_finished_task_is_collected(eager: bool) -> None:
    """A task that is kept by its own result goes with it."""

    class Kept:
        task: Any

    async def give(kept: Kept) -> Kept:
        return kept

    async def main() -> weakref.ref[Kept]:
        kept = Kept()
        kept.task = asyncio.get_running_loop().create_task(give(kept), eager_start=eager)  # type: ignore[call-arg]
        await kept.task
        return weakref.ref(kept)

    gone = hocket.run(main())
    gc.collect()
    assert gone() is None


def test_a_cycle_through_a_task_of_another_loop_is_collected() -> None:
    """So does one that ran on asyncio's own loop."""

    class Kept:
        task: Any

    async def give(kept: Kept) -> Kept:
        return kept

    async def main() -> weakref.ref[Kept]:
        kept = Kept()
        kept.task = hocket.Task(give(kept), loop=asyncio.get_running_loop())
        await kept.task
        return weakref.ref(kept)

    loop = asyncio.SelectorEventLoop()
    try:
        gone = loop.run_until_complete(main())
    finally:
        loop.close()
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("kind", ["task", "handle"])
def test_a_cycle_through_a_context_is_collected(kind: str) -> None:
    """A value of a context variable that holds the very context goes with it."""
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")

    class Kept:
        context: Any

    async def main() -> weakref.ref[Kept]:
        kept = Kept()

        def keep() -> None:
            variable.set(kept)

        async def keep_in_task() -> None:
            keep()

        loop = asyncio.get_running_loop()
        made: Any = loop.call_soon(keep) if kind == "handle" else loop.create_task(keep_in_task())
        kept.context = made._context
        await asyncio.sleep(0.01)
        assert kept.context[variable] is kept
        return weakref.ref(kept)

    gone = hocket.run(main())
    gc.collect()
    assert gone() is None


def test_a_handle_that_was_reported_is_collected() -> None:
    """A handler of exceptions that keeps its report keeps no garbage alive for ever."""
    kept: list[Any] = []

    class Failing:
        def run(self) -> None:
            raise ValueError("expected")

    async def main() -> weakref.ref[Failing]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, report: kept.append(report))
        failing = Failing()
        loop.call_soon(failing.run)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # A cycle, of which the handle is a part.
        kept[0]["handle"]._args = (kept[0],)
        return weakref.ref(failing)

    gone = hocket.run(main())
    kept.clear()
    gc.collect()
    assert gone() is None


def test_the_memory_of_a_future_is_used_again_from_scratch() -> None:
    """A future in used memory is as new: nothing of the former one shows, and it is finalized again."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports: list[str] = []
        loop.set_exception_handler(lambda _, report: reports.append(report["message"]))
        for _ in range(3):
            future = loop.create_future()
            future.set_exception(ValueError("unseen"))
            del future
            fresh = loop.create_future()
            assert not fresh.done()
            assert fresh.cancel()
            del fresh
        assert reports == ["Future exception was never retrieved"] * 3

    hocket.run(main())


def test_more_objects_than_are_kept() -> None:
    """Whether memory is kept or given back, every future is whole."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            futures = [loop.create_future() for _ in range(5000)]
            for number, future in enumerate(futures):
                future.set_result(number)
            assert [future.result() for future in futures] == list(range(5000))
            del futures, future

    hocket.run(main())


def test_subclasses_have_memory_of_their_own_size() -> None:
    """A subclass of `hocket.Future` with more fields works beside it."""

    class Larger(hocket.Future):
        __slots__ = ("more",)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            larger, plain = Larger(loop=loop), hocket.Future(loop=loop)
            larger.more = [1, 2, 3]  # type: ignore[attr-defined]
            plain.set_result(1)
            assert larger.more == [1, 2, 3]  # type: ignore[attr-defined]
            assert not larger.done()

    hocket.run(main())


@pytest.mark.skipif(not hocket.is_compiled(), reason="uncompiled classes are the interpreter's affair")
@pytest.mark.parametrize("cls", [int, hocket.Future], ids=["not for the collector", "kept already"])
def test_what_cannot_be_kept_is_refused(cls: type) -> None:
    """Only a compiled class that the collector knows, and only once."""
    with pytest.raises(ValueError, match="no memory can be kept"):
        freelist.keep_spare(cls, 10)
