"""The loop as a whole: what runs in which order, what is refused, what failures leave behind, what it counts."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import hocket
from hocket.core import scheduler
from tests.leftovers import no_new_descriptors

from .loops import OURS, Reports, run

our_loops = pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)


def turn(loop: Any) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


# -- Order


def test_stop_before_run_runs_one_turn(any_loop: Any) -> None:
    """stop() before run_forever(): what is ready and due runs once, what that makes ready does not."""
    seen: list[str] = []
    any_loop.call_soon(lambda: (seen.append("first"), any_loop.call_soon(seen.append, "second")))
    any_loop.call_at(0, seen.append, "due")
    any_loop.stop()
    any_loop.run_forever()
    assert seen == ["first", "due"]
    turn(any_loop)
    assert seen == ["first", "due", "second"]


def test_callbacks_run_in_the_order_of_their_calls(any_loop: Any) -> None:
    """call_soon and call_soon_threadsafe from the loop's own thread make one queue."""
    seen: list[int] = []

    def begin() -> None:
        for number in range(10):
            (any_loop.call_soon if number % 3 else any_loop.call_soon_threadsafe)(seen.append, number)

    any_loop.call_soon(begin)
    any_loop.call_soon(any_loop.call_later, 0.01, any_loop.stop)
    any_loop.run_forever()
    assert seen == list(range(10))


def test_one_turn_runs_what_was_ready_at_its_start(any_loop: Any) -> None:
    """A callback that keeps rescheduling itself starves nobody."""
    seen: list[str] = []

    def again() -> None:
        seen.append("again")
        any_loop.call_soon(again)

    any_loop.call_soon(again)
    any_loop.call_later(0.01, any_loop.stop)
    any_loop.run_forever()
    assert seen


def test_timers_of_one_instant_keep_their_order(loop: Any) -> None:
    """Timers set for the same moment run in the order of setting."""
    seen: list[int] = []
    when = loop.time() + 0.01
    for number in range(50):
        loop.call_at(when, seen.append, number)
    loop.call_at(when, loop.stop)
    loop.run_forever()
    assert seen == list(range(50))


def test_timers_never_come_early(any_loop: Any) -> None:
    """A callback runs when its time has come by the loop's clock, and in order of time."""
    seen: list[tuple[float, float]] = []
    for delay in (0.03, 0.001, 0.0203, 0.0, 0.011):
        when = any_loop.time() + delay
        any_loop.call_at(when, lambda when=when: seen.append((when, any_loop.time())))
    any_loop.call_later(0.05, any_loop.stop)
    any_loop.run_forever()
    resolution = time.get_clock_info("monotonic").resolution
    assert len(seen) == 5 and seen == sorted(seen)
    assert all(now >= when - resolution for when, now in seen)


def test_cancelled_callbacks_do_not_run(any_loop: Any) -> None:
    """Cancelled handles and timers are passed over, also if cancelled in the turn in which they are ready."""
    seen: list[str] = []
    later = []
    any_loop.call_soon(lambda: [handle.cancel() for handle in later])
    later += [any_loop.call_soon(seen.append, "soon"), any_loop.call_at(0, seen.append, "timer")]
    any_loop.call_soon(seen.append, "kept")
    turn(any_loop)
    assert seen == ["kept"] and all(handle.cancelled() for handle in later)


def test_signal_handlers_run_in_the_loop(any_loop: Any) -> None:
    """add_signal_handler(): the callback runs while the loop waits for nothing else."""
    seen: list[str] = []
    any_loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append("signal"), any_loop.stop()))
    timer = threading.Timer(0.03, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    any_loop.run_forever()
    timer.join()
    assert any_loop.remove_signal_handler(signal.SIGUSR1)
    assert seen == ["signal"]


def test_call_soon_threadsafe_from_a_plain_signal_handler(any_loop: Any) -> None:
    """A handler set with signal.signal() may use call_soon_threadsafe(), and wakes the loop."""
    before = signal.signal(signal.SIGALRM, lambda *_: any_loop.call_soon_threadsafe(any_loop.stop))
    try:
        # Again and again: asyncio's own loop does not hear one that comes just before it waits.
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
        guard = any_loop.call_later(10, any_loop.stop)
        any_loop.run_forever()
        assert any_loop.time() < guard.when()
        guard.cancel()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_nothing_from_other_threads_is_lost(any_loop: Any) -> None:
    """Thousands of calls from several threads all arrive, those of each thread in order."""
    threads, calls = 4, 3000
    seen: list[tuple[int, int]] = []

    def send(sender: int) -> None:
        for number in range(calls):
            any_loop.call_soon_threadsafe(seen.append, (sender, number))
        any_loop.call_soon_threadsafe(finished.append, sender)

    finished: list[int] = []

    async def main() -> None:
        senders = [threading.Thread(target=send, args=(sender,)) for sender in range(threads)]
        for thread in senders:
            thread.start()
        async with asyncio.timeout(30):
            while len(finished) < threads:
                await asyncio.sleep(0.001)
        for thread in senders:
            thread.join()

    any_loop.run_until_complete(main())
    for sender in range(threads):
        assert [number for who, number in seen if who == sender] == list(range(calls))


def test_each_call_from_a_thread_wakes_the_loop(any_loop: Any) -> None:
    """A loop that waits without limit is woken by every single call."""

    async def main() -> int:
        rounds = 0
        for _ in range(200):
            future = any_loop.create_future()
            thread = threading.Thread(target=lambda f=future: any_loop.call_soon_threadsafe(f.set_result, 1))
            thread.start()
            rounds += await asyncio.wait_for(future, 10)
            thread.join()
        return rounds

    assert any_loop.run_until_complete(main()) == 200


# -- What is refused


def test_bad_times_are_refused(loop: Any) -> None:
    """None is a TypeError, nan a ValueError, and nothing is scheduled."""
    for method in (loop.call_later, loop.call_at):
        with pytest.raises(TypeError):
            method(None, print)
        with pytest.raises(ValueError, match="nan"):
            method(float("nan"), print)
    assert len(loop._scheduled) == 0


def test_a_time_that_is_no_number_is_refused(loop: Any) -> None:
    """A time of another type is a TypeError at the call: in the heap it would fail every turn from then on."""
    for method in (loop.call_later, loop.call_at):
        with pytest.raises(TypeError):
            method("soon", print)
    assert len(loop._scheduled) == 0


@pytest.mark.parametrize("delay", [float("inf"), 1e12, -1e12, float("-inf")])
def test_extreme_times_are_allowed(loop: Any, delay: float) -> None:
    """Never is a time, and so is long ago; the loop goes on beside it."""
    seen: list[str] = []
    handle = loop.call_later(delay, seen.append, "due")
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    handle.cancel()
    assert seen == (["due"] if delay < 0 else [])


def test_a_running_loop_cannot_be_run_or_closed(loop: Any) -> None:
    """run_forever, run_until_complete and close inside of a callback are RuntimeErrors, and the loop goes on."""

    async def main() -> list[str]:
        errors = []
        coroutine = asyncio.sleep(0)
        for act in (loop.run_forever, lambda: loop.run_until_complete(coroutine), loop.close):
            with pytest.raises(RuntimeError) as caught:
                act()
            errors.append(str(caught.value))
        coroutine.close()
        await asyncio.sleep(0)
        return errors

    errors = loop.run_until_complete(main())
    assert errors == ["This event loop is already running"] * 2 + ["Cannot close a running event loop"]


def test_another_loop_cannot_run_inside(any_loop: Any) -> None:
    """While one loop runs, another cannot in the same thread."""
    other = hocket.new_event_loop()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="Cannot run the event loop while another loop is running"):
            other.run_forever()

    any_loop.run_until_complete(main())
    other.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda loop: loop.call_soon(print),
        lambda loop: loop.call_soon_threadsafe(print),
        lambda loop: loop.call_later(1, print),
        lambda loop: loop.call_at(1, print),
        lambda loop: loop.run_forever(),
        lambda loop: loop.add_reader(0, print),
        lambda loop: loop.add_writer(0, print),
        lambda loop: loop.run_in_executor(None, print),
    ],
    ids=["call_soon", "threadsafe", "call_later", "call_at", "run", "add_reader", "add_writer", "executor"],
)
def test_a_closed_loop_refuses_work(any_loop: Any, use: Callable[[Any], object]) -> None:
    """Everything that would need the loop is RuntimeError("Event loop is closed"); closing again is harmless."""
    any_loop.close()
    any_loop.close()
    assert any_loop.is_closed() and not any_loop.is_running()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        use(any_loop)


def test_create_task_on_a_closed_loop(any_loop: Any) -> None:
    """A closed loop takes no tasks."""
    any_loop.close()
    coroutine = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        any_loop.create_task(coroutine)
    coroutine.close()


# -- Failures


def test_failing_callback_is_reported_and_the_loop_goes_on(any_loop: Any) -> None:
    """An exception in a callback is reported with its handle; others run."""
    reports, seen = Reports(any_loop), []
    any_loop.call_soon(lambda: 1 / 0)
    any_loop.call_soon(seen.append, "next")
    turn(any_loop)
    assert seen == ["next"] and "Exception in callback" in reports.messages[0]
    assert isinstance(reports.contexts[0]["handle"], asyncio.Handle)


@pytest.mark.parametrize("failing", [KeyboardInterrupt, SystemExit])
def test_interrupt_in_a_callback_leaves_the_loop_usable(any_loop: Any, failing: type[BaseException]) -> None:
    """KeyboardInterrupt and SystemExit come out of run_forever(); what was ready behind runs the next time."""
    seen: list[str] = []

    def interrupt() -> None:
        raise failing

    any_loop.call_soon(interrupt)
    any_loop.call_soon(seen.append, "behind")
    with pytest.raises(failing):
        any_loop.run_forever()
    assert not any_loop.is_running() and seen == []
    turn(any_loop)
    assert seen == ["behind"]
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_failing_exception_handler_is_logged(any_loop: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that fails itself is logged, and the loop goes on."""
    any_loop.set_exception_handler(lambda *_: 1 / 0)
    any_loop.call_soon(lambda: [][0])
    turn(any_loop)
    assert "Unhandled error in exception handler" in caplog.text


# -- Debug mode


def test_debug_mode_warns_of_slow_callbacks(any_loop: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A callback and a step that take long are logged with their names and times."""
    any_loop.set_debug(True)
    any_loop.slow_callback_duration = 0.02

    def dawdle() -> None:
        time.sleep(0.03)

    async def linger() -> None:
        time.sleep(0.03)

    any_loop.call_soon(dawdle)
    any_loop.run_until_complete(linger())
    messages = [record.getMessage() for record in caplog.records if "Executing" in record.getMessage()]
    assert len([it for it in messages if "dawdle" in it]) == 1
    assert len([it for it in messages if "linger" in it]) == 1
    assert all(re.search(r" took \d+\.\d{3} seconds$", message) for message in messages)


@pytest.mark.parametrize("method", ["call_soon", "call_later", "call_at"])
def test_debug_mode_refuses_other_threads(any_loop: Any, method: str) -> None:
    """In debug mode only call_soon_threadsafe may be used from another thread."""
    any_loop.set_debug(True)

    def use() -> str:
        try:
            getattr(any_loop, method)(*([print] if method == "call_soon" else [0, print]))
        except RuntimeError as error:
            return str(error)
        return "accepted"

    async def main() -> str:
        return await asyncio.to_thread(use)

    assert any_loop.run_until_complete(main()).startswith("Non-thread-safe operation")
    any_loop.run_until_complete(any_loop.shutdown_default_executor())


def test_debug_mode_refuses_coroutines_as_callbacks(any_loop: Any) -> None:
    """A coroutine function, or something that cannot be called, is a TypeError at the call."""
    any_loop.set_debug(True)

    async def nothing() -> None: ...

    for method in (
        any_loop.call_soon,
        any_loop.call_soon_threadsafe,
        lambda callback: any_loop.call_later(1, callback),
    ):
        with pytest.raises(TypeError, match="coroutines cannot be used"):
            method(nothing)
        with pytest.raises(TypeError, match="a callable object was expected"):
            method(7)


# -- Several loops


def test_two_loops_in_two_threads() -> None:
    """Loops in different threads run side by side and call each other."""
    results: list[Any] = []
    loops: dict[str, Any] = {}
    ready = threading.Barrier(2, timeout=20)

    async def main(name: str, other: str) -> None:
        loops[name] = asyncio.get_running_loop()
        await asyncio.to_thread(ready.wait)
        for _ in range(100):
            answer = asyncio.run_coroutine_threadsafe(who(), loops[other])
            assert await asyncio.wrap_future(answer) is loops[other]
        await asyncio.to_thread(ready.wait)
        results.append(name)

    async def who() -> Any:
        return asyncio.get_running_loop()

    threads = [
        threading.Thread(target=lambda n=names: run(hocket.new_event_loop, main(*n)))
        for names in (("one", "other"), ("other", "one"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ["one", "other"]


# -- What it counts


@our_loops
def test_statistics_count(factory: Any) -> None:
    """Turns, steps, callbacks and the fates of tasks are counted."""

    async def fail() -> None:
        raise ValueError

    async def main(loop: Any) -> Any:
        before = loop.statistics()
        tasks = [
            loop.create_task(asyncio.sleep(0)),
            loop.create_task(fail()),
            loop.create_task(asyncio.sleep(60)),
        ]
        for _ in range(3):
            loop.call_soon(int)
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.wait(tasks)
        return before, loop.statistics()

    loop = factory()
    before, after = loop.run_until_complete(main(loop))
    loop.close()
    gained = {name: getattr(after, name) - getattr(before, name) for name in ("tasks_started", "tasks_finished")}
    assert gained == {"tasks_started": 3, "tasks_finished": 1}
    assert after.tasks_failed - before.tasks_failed == after.tasks_cancelled - before.tasks_cancelled == 1
    assert after.turns > before.turns
    # The three steps of the first task and of the others, at least; the three callbacks.
    assert after.steps - before.steps >= 6 and after.callbacks - before.callbacks >= 3
    assert 0 < after.longest_step <= after.busy and after.busy - before.busy > 0


@our_loops
def test_measured_steps_name_the_longest(factory: Any) -> None:
    """The longest step is known with task and line, and time is split into busy and idle."""

    async def slow() -> None:
        await asyncio.sleep(0.3)
        time.sleep(0.3)
        await asyncio.sleep(0)

    loop = factory()
    loop.run_until_complete(loop.create_task(slow(), name="sloth"))
    statistics = loop.statistics()
    loop.close()
    assert statistics.longest_step_task == "sloth"
    assert "test_loop.py" in statistics.longest_step_where and "slow" in statistics.longest_step_where
    assert 0.25 < statistics.longest_step <= statistics.busy
    assert statistics.idle > 0.04


@our_loops
@pytest.mark.parametrize("kind", ["on_create", "on_run", "on_exception", "on_stop", "on_close"])
def test_a_listener_that_fails(factory: Any, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Is logged and not called again; the others are, and the loop does what it would have done."""

    def fail(*_: object) -> None:
        asked.append("failing")
        raise ZeroDivisionError

    def listen(*_: object) -> None:
        asked.append("other")

    asked: list[str] = []
    handled: list[Any] = []
    listeners = getattr(scheduler, kind)
    listeners.append(fail)
    listeners.append(listen)
    try:
        for _ in range(2):
            loop = factory()
            loop.set_exception_handler(lambda _, context: handled.append(context))
            loop.call_soon(loop.call_exception_handler, {"message": "x"})
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        assert fail not in listeners
    finally:
        listeners.remove(fail)
        listeners.remove(listen)
    assert asked == ["failing", "other", "other"] and len(handled) == 2
    assert "ZeroDivisionError" in caplog.text and listeners.count(listen) == 0


@our_loops
def test_listeners_hear_of_loops(factory: Any) -> None:
    """on_create and on_close are called once for each loop; loops() lists those that are open."""
    heard: list[Any] = []
    created, closed = (lambda it: heard.append(("created", it))), (lambda it: heard.append(("closed", it)))
    scheduler.on_create.append(created)
    scheduler.on_close.append(closed)
    try:
        loop = factory()
        assert loop in scheduler.loops()
        loop.close()
        loop.close()
    finally:
        scheduler.on_create.remove(created)
        scheduler.on_close.remove(closed)
    assert heard == [("created", loop), ("closed", loop)]
    assert loop not in scheduler.loops()


# -- The end


def test_descriptors_return(any_loop: Any) -> None:
    """Loops that were made, used and closed leave no descriptor behind."""
    make = type(any_loop)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = socket.socketpair()
        with one, other:
            future = loop.create_future()
            loop.add_reader(one.fileno(), lambda: future.done() or future.set_result(None))
            other.send(b"x")
            await future
            loop.remove_reader(one.fileno())

    with no_new_descriptors():
        for _ in range(20):
            loop = make()
            loop.run_until_complete(main())
            loop.close()


@pytest.mark.parametrize("driver", ["epoll", "selector"])
def test_interpreter_ends_with_pending_tasks(driver: str) -> None:
    """A program that ends with a pending task ends by itself, with asyncio's words and none of ours."""
    code = (
        "import asyncio, hocket\n"
        f"loop = hocket.new_event_loop(driver={driver!r})\n"
        "async def forever(): await loop.create_future()\n"
        "task = loop.create_task(forever())\n"
        "loop.call_soon(loop.stop)\n"
        "loop.run_forever()\n"
        "loop.close()\n"
        "del task\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr.startswith("Task was destroyed but it is pending!")
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


# -- What is let go


def test_callback_that_keeps_its_own_exception_is_let_go() -> None:
    """The traceback that a callback keeps leads to no frame that keeps the callback: it goes without the collector."""

    class Keeper:
        def act(self, ready: asyncio.Future[None]) -> None:
            try:
                raise ValueError
            except ValueError as error:
                ready.add_done_callback(lambda _, error=error: None)
                ready.set_result(None)
            del self  # as asyncio's tasks do

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        keeper, ready = Keeper(), loop.create_future()
        loop.call_soon(keeper.act, ready)
        gone = weakref.ref(keeper)
        del keeper
        await ready
        return gone() is None

    gc.disable()
    try:
        assert hocket.run(main())
    finally:
        gc.enable()
