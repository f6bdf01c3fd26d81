"""Portals: threads that no loop has started ask one for something."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import hocket
from hocket.from_thread import BlockingPortal, BlockingPortalProvider, start_blocking_portal
from tests.leftovers import no_new_threads

SOON = 20.0


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as opened:
        yield opened


async def add(one: int, two: int) -> int:
    await asyncio.sleep(0)
    return one + two


async def fail() -> None:
    raise KeyError("nobody")


async def forever() -> None:
    await asyncio.sleep(SOON)


def test_call_runs_coroutines_and_functions(portal: BlockingPortal) -> None:
    """In a loop of hocket's, in another thread, with the context variables of the caller."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("seen")
    assert portal.call(add, 1, 2) == 3
    assert portal.call(variable.get) == "seen"
    assert portal.call(threading.get_ident) != threading.get_ident()
    assert isinstance(portal.call(asyncio.get_running_loop), hocket.EventLoop)


def test_call_raises_what_is_raised(portal: BlockingPortal) -> None:
    """Also by an ordinary function; the portal goes on."""
    with pytest.raises(KeyError, match="nobody"):
        portal.call(fail)
    with pytest.raises(ZeroDivisionError):
        portal.call(divmod, 1, 0)
    with pytest.raises(TypeError, match="expected a function"):
        portal.call(5)  # type: ignore[arg-type]
    assert portal.call(add, 1, 1) == 2


def test_tasks_run_side_by_side(portal: BlockingPortal) -> None:
    """Each with a future of its own, and a name."""
    event = portal.call(asyncio.Event)
    waiting = portal.start_task_soon(event.wait, name="waiter")
    assert "waiter" in portal.call(lambda: [task.get_name() for task in asyncio.all_tasks()])
    portal.call(event.set)
    assert waiting.result(SOON) is True


def test_to_cancel_a_future_cancels_its_task(portal: BlockingPortal) -> None:
    """The clean-up runs."""
    cleaned = threading.Event()

    async def work() -> None:
        try:
            await forever()
        finally:
            cleaned.set()

    future = portal.start_task_soon(work)
    portal.call(add, 1, 1)
    assert future.cancel()
    assert cleaned.wait(SOON)
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()


def test_a_task_that_is_cancelled_tells_the_thread(portal: BlockingPortal) -> None:
    """By the CancelledError of futures, which is an ordinary exception."""

    async def cancel_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(concurrent.futures.CancelledError):
        portal.call(cancel_itself)


def test_start_task_waits_for_the_start(portal: BlockingPortal) -> None:
    """And gives the value that the task has told; its result comes later."""

    async def serve(result: str, *, task_status: Any) -> str:
        stopped = asyncio.Event()
        task_status.started(stopped)
        with pytest.raises(RuntimeError, match="twice"):
            task_status.started()
        await stopped.wait()
        return result

    future, stopped = portal.start_task(serve, "served")
    assert not future.done()
    portal.call(stopped.set)
    assert future.result(SOON) == "served"


async def ends_early(*, task_status: Any) -> None:
    pass


async def fails_early(*, task_status: Any) -> None:
    raise OSError("port is taken")


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [(ends_early, RuntimeError, "without a call"), (fails_early, OSError, "port is taken")],
)
def test_a_task_that_does_not_start_fails(
    portal: BlockingPortal, function: Any, error: type[Exception], match: str
) -> None:
    """With what it raises, or RuntimeError."""
    with pytest.raises(error, match=match):
        portal.start_task(function)


def test_async_context_managers_for_ordinary_blocks(portal: BlockingPortal) -> None:
    """Entered and left in one task, with the exception of the block."""
    log: list[object] = []

    @contextlib.asynccontextmanager
    async def opened(suppress: bool) -> AsyncIterator[str]:
        task = asyncio.current_task()
        try:
            yield "value"
        except ValueError as error:
            log.append(str(error))
            if not suppress:
                raise
        finally:
            log.append(asyncio.current_task() is task)

    with portal.wrap_async_context_manager(opened(True)) as value:
        log.append(value)
    with portal.wrap_async_context_manager(opened(True)):
        raise ValueError("suppressed")
    with pytest.raises(ValueError, match="raised"), portal.wrap_async_context_manager(opened(False)):
        raise ValueError("raised")
    assert log == ["value", True, "suppressed", True, "raised", True]


def test_the_end_of_the_block_waits_for_tasks() -> None:
    """Those that still run."""
    log = []

    async def work() -> None:
        await asyncio.sleep(0.01)
        log.append("done")

    with start_blocking_portal() as portal:
        portal.start_task_soon(work)
    assert log == ["done"]
    with pytest.raises(RuntimeError, match="closed"):
        portal.call(int)


def test_an_exception_in_the_block_cancels_tasks() -> None:
    """And comes out of it."""
    with pytest.raises(ValueError, match="mine"), start_blocking_portal() as portal:
        future = portal.start_task_soon(forever)
        portal.call(int)
        raise ValueError("mine")
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(SOON)


def test_a_portal_can_be_stopped_from_inside() -> None:
    """With or without cancelling what runs."""
    with start_blocking_portal() as portal:
        future = portal.start_task_soon(forever)
        portal.call(portal.stop, True)
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(SOON)


def test_a_loop_that_cannot_be_made_is_told() -> None:
    """By what was raised; no thread is left."""

    def refuse() -> Any:
        raise OSError("no descriptor left")

    with no_new_threads(), pytest.raises(OSError, match="no descriptor"):
        with start_blocking_portal(loop_factory=refuse):
            pass


@pytest.mark.parametrize("opened", [False, True], ids=["while it opens", "when it is open"])
def test_whoever_is_interrupted_leaves_nothing_behind(opened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the portal is waited for: the thread ends, its loop is closed."""

    class Interrupted(BaseException):
        pass

    loops = []
    come = threading.Event()

    def make() -> Any:
        if not opened:
            assert come.wait(SOON)
        loops.append(hocket.new_event_loop())
        return loops[0]

    result = concurrent.futures.Future.result

    def interrupted(future: Any, timeout: float | None = None) -> Any:
        monkeypatch.undo()
        if opened:
            result(future)
        come.set()
        raise Interrupted

    monkeypatch.setattr(concurrent.futures.Future, "result", interrupted)
    with no_new_threads(), pytest.raises(Interrupted), start_blocking_portal(loop_factory=make):
        pytest.fail("it was not opened")
    assert loops[0].is_closed()


def test_a_portal_in_a_loop_that_runs() -> None:
    """Threads of others ask it; its own thread awaits instead."""

    async def main() -> list[int]:
        results: list[int] = []
        async with BlockingPortal() as portal:
            with pytest.raises(RuntimeError, match="await instead"):
                portal.call(int)

            def work() -> None:
                results.append(portal.call(add, 20, 22))
                portal.call(portal.stop)

            thread = threading.Thread(target=work)
            thread.start()
            await portal.sleep_until_stopped()
        thread.join()
        return results

    assert hocket.run(main()) == [42]


def test_a_portal_is_opened_once() -> None:
    """RuntimeError before and afterwards."""
    portal = BlockingPortal()
    with pytest.raises(RuntimeError, match="not open"):
        portal.call(int)

    async def main() -> None:
        async with portal:
            pass
        with pytest.raises(RuntimeError, match="opened before"):
            async with portal:
                pass

    hocket.run(main())


def test_threads_share_a_portal() -> None:
    """It is started with the first and ended with the last."""
    provider = BlockingPortalProvider()
    with provider as one, provider as two:
        loop: Any = one.call(asyncio.get_running_loop)
        assert one is two
    assert loop.is_closed()
    with provider as three:
        assert three is not one


def test_the_budget_of_a_thread_is_that_of_what_it_asks_for() -> None:
    """Through to_thread and a portal, into another loop."""

    def work() -> float:
        with start_blocking_portal() as portal:
            with pytest.raises(hocket.BudgetExceeded):
                portal.call(forever)
            return portal.call(hocket.remaining)

    async def main() -> float:
        with hocket.CancelScope(shield=True):
            return await hocket.to_thread.run_sync(work)

    async def limited() -> float:
        left = -1.0
        try:
            with hocket.budget(0.05):
                left = await main()
        except hocket.BudgetExceeded:
            pass
        return left

    assert hocket.run(limited()) == 0.0


def test_a_closed_loop_wakes_the_threads_that_wait_for_it() -> None:
    """RuntimeError instead of waiting for ever."""
    loop = hocket.new_event_loop()
    portal = BlockingPortal()
    errors = []
    started = threading.Event()

    async def stay() -> None:
        await portal.__aenter__()

        async def work() -> None:
            started.set()
            await forever()

        def ask() -> None:
            try:
                portal.call(work)
            except RuntimeError as error:
                errors.append(str(error))

        threads.append(threading.Thread(target=ask))
        threads[0].start()
        while not started.is_set():
            await asyncio.sleep(0)

    threads: list[threading.Thread] = []
    loop.run_until_complete(stay())
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    threads[0].join(SOON)
    assert errors and "closed before" in errors[0]
    for task in tasks:
        task.get_coro().close()  # type: ignore[union-attr]
