"""hocket.Future: asyncio's in everything that a program can see; the class is the only thing that the tests change."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import hocket

from .loops import EVERY, Reports, run, stock

CLASSES = [hocket.Future, asyncio.Future]


@pytest.fixture(params=CLASSES, ids=["hocket.Future", "asyncio.Future"])
def make(request: pytest.FixtureRequest, any_loop: asyncio.AbstractEventLoop) -> Callable[[], Any]:
    """Makes futures of either class on every loop."""
    return lambda: request.param(loop=any_loop)


def turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


# -- What it is


def test_passes_for_asyncios(loop: asyncio.AbstractEventLoop) -> None:
    """A hocket future is one of asyncio's by isinstance and isfuture, and no task; its type is its own."""
    future = loop.create_future()
    assert isinstance(future, asyncio.Future) and isinstance(future, hocket.Future) and asyncio.isfuture(future)
    assert not isinstance(future, asyncio.Task)
    assert type(future) is hocket.Future


def test_can_be_parametrised() -> None:
    """Future[int] is a generic alias, for annotations."""
    assert hocket.Future[int].__args__ == (int,)


def test_can_be_subclassed_and_weakly_referenced(loop: asyncio.AbstractEventLoop) -> None:
    """A subclass may have attributes of its own, and a future goes when nobody holds it."""

    class Named(hocket.Future):
        label = "own"

    future = Named(loop=loop)
    future.extra = 1
    gone = weakref.ref(future)
    assert future.label == "own" and isinstance(future, asyncio.Future)
    del future
    gc.collect()
    assert gone() is None


def test_get_loop(make: Any, any_loop: asyncio.AbstractEventLoop) -> None:
    """get_loop() is the loop that was given."""
    assert make().get_loop() is any_loop


# -- States


def test_pending(make: Any) -> None:
    """A new future is neither done nor cancelled, and has neither result nor exception."""
    future = make()
    assert not future.done() and not future.cancelled()
    with pytest.raises(asyncio.InvalidStateError):
        future.result()
    with pytest.raises(asyncio.InvalidStateError):
        future.exception()


def test_result(make: Any) -> None:
    """A result can be read as often as one likes."""
    future = make()
    future.set_result("tea")
    assert future.done() and not future.cancelled()
    assert [future.result(), future.result(), future.exception()] == ["tea", "tea", None]


def test_exception(make: Any) -> None:
    """An exception is given by exception() and raised by result(): the very object."""
    future, error = make(), ValueError("cold")
    future.set_exception(error)
    assert future.exception() is error
    with pytest.raises(ValueError) as caught:
        future.result()
    assert caught.value is error


def test_exception_class_is_called(make: Any) -> None:
    """set_exception() takes a class and makes an exception of it."""
    future = make()
    future.set_exception(ValueError)
    assert type(future.exception()) is ValueError


def test_cancel(make: Any) -> None:
    """A cancelled future raises CancelledError with the message that was given."""
    future = make()
    assert future.cancel("enough")
    assert future.done() and future.cancelled()
    with pytest.raises(asyncio.CancelledError) as caught:
        future.result()
    assert caught.value.args == ("enough",)
    with pytest.raises(asyncio.CancelledError):
        future.exception()


@pytest.mark.parametrize("first", ["set_result", "set_exception", "cancel"])
@pytest.mark.parametrize("second", ["set_result", "set_exception", "cancel"])
def test_the_first_outcome_stays(make: Any, first: str, second: str) -> None:
    """A second outcome is an InvalidStateError, a second cancel() returns False, and the state stays."""
    future = make()
    arguments = {"set_result": (1,), "set_exception": (ValueError(),), "cancel": ()}
    getattr(future, first)(*arguments[first])
    before = future._state
    if second == "cancel":
        assert not future.cancel()
    else:
        with pytest.raises(asyncio.InvalidStateError):
            getattr(future, second)(*arguments[second])
    assert future._state == before
    future._log_traceback = False


def test_stop_iteration_cannot_travel(make: Any) -> None:
    """StopIteration is refused with TypeError up to 3.11.7 and 3.12.1, and wrapped in a RuntimeError later."""
    future = make()
    if sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2):
        with pytest.raises(TypeError, match="StopIteration"):
            future.set_exception(StopIteration())
    else:
        future.set_exception(StopIteration(1))
        error = future.exception()
        assert type(error) is RuntimeError and type(error.__cause__) is StopIteration


def test_log_traceback_can_only_be_switched_off(make: Any) -> None:
    """`_log_traceback = True` is a ValueError, as asyncio has it."""
    with pytest.raises(ValueError):
        make()._log_traceback = True


# -- Callbacks


def test_callbacks_come_in_order_and_in_the_next_turn(make: Any, any_loop: asyncio.AbstractEventLoop) -> None:
    """Callbacks run in the order of adding, never inside of set_result()."""
    future, seen = make(), []
    for name in ("first", "second", "third"):
        future.add_done_callback(lambda f, name=name: seen.append((name, f is future)))
    future.set_result(None)
    assert seen == []
    turn(any_loop)
    assert seen == [("first", True), ("second", True), ("third", True)]


def test_callback_added_late_is_called_soon(make: Any, any_loop: asyncio.AbstractEventLoop) -> None:
    """A callback that is added to a done future runs in the next turn."""
    future, seen = make(), []
    future.set_result(None)
    future.add_done_callback(seen.append)
    assert seen == []
    turn(any_loop)
    assert seen == [future]


def test_callbacks_can_be_removed(make: Any, any_loop: asyncio.AbstractEventLoop) -> None:
    """remove_done_callback() removes every equal callback, says how many, and leaves the others in order."""
    future, seen, other = make(), [], []
    future.add_done_callback(seen.append)
    future.add_done_callback(other.append)
    future.add_done_callback(seen.append)
    assert future.remove_done_callback(seen.append) == 2
    assert future.remove_done_callback(seen.append) == 0
    future.set_result(None)
    turn(any_loop)
    assert (seen, other) == ([], [future])


def test_callback_runs_in_its_context(make: Any, any_loop: asyncio.AbstractEventLoop) -> None:
    """By default the context at the time of adding; another one if it is given."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    given, future, seen = contextvars.copy_context(), make(), []
    given.run(variable.set, "given")
    token = variable.set("adding")
    future.add_done_callback(lambda _: seen.append(variable.get()))
    future.add_done_callback(lambda _: seen.append(variable.get()), context=given)
    variable.reset(token)
    future.set_result(None)
    turn(any_loop)
    assert seen == ["adding", "given"]


def test_failing_callback_is_reported_and_the_next_one_runs(make: Any, any_loop: asyncio.AbstractEventLoop) -> None:
    """An exception in a callback goes to the exception handler and stops nobody else."""
    reports, future, seen = Reports(any_loop), make(), []
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(seen.append)
    future.set_result(None)
    turn(any_loop)
    assert seen == [future]
    assert len(reports.contexts) == 1 and "Exception in callback" in reports.messages[0]
    assert type(reports.contexts[0]["exception"]) is ZeroDivisionError


# -- Awaiting


@pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
@pytest.mark.parametrize("make_future", CLASSES)
@pytest.mark.parametrize("make_task", [hocket.Task, asyncio.Task])
def test_any_task_awaits_any_future_on_any_loop(factory: Any, make_future: Any, make_task: Any) -> None:
    """Classes and loops mix: result, exception and cancellation arrive."""

    async def wait_for(future: Any) -> Any:
        try:
            return await future
        except ValueError as error:
            return error
        except asyncio.CancelledError as error:
            return error.args

    async def main() -> None:
        loop = asyncio.get_running_loop()
        futures = [make_future(loop=loop) for _ in range(4)]
        tasks = [make_task(wait_for(future), loop=loop) for future in futures]
        await asyncio.sleep(0)
        error = ValueError()
        futures[0].set_result("tea")
        futures[1].set_exception(error)
        futures[2].cancel("gone")
        tasks[3].cancel("task")
        assert await asyncio.gather(*tasks) == ["tea", error, ("gone",), ("task",)]
        assert futures[3].cancelled()

    run(factory, main())


def test_awaiting_a_done_future_does_not_suspend(make: Any) -> None:
    """await on a done future gives its result at once."""

    async def wait(future: Any) -> Any:
        return await future

    future = make()
    future.set_result((1, 2))
    coroutine = wait(future)
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value == (1, 2)


@pytest.mark.parametrize("value", [None, 0, (), (1,), StopIteration(3), ValueError("a value, not raised")])
def test_every_value_survives_await(make: Any, any_loop: asyncio.AbstractEventLoop, value: object) -> None:
    """What was set is what await gives, also tuples and exceptions, which StopIteration likes to unpack."""

    async def wait(future: Any) -> Any:
        return await future

    future = make()
    any_loop.call_soon(future.set_result, value)
    assert any_loop.run_until_complete(wait(future)) is value


def test_a_step_too_early_is_an_error(make: Any) -> None:
    """Driving the awaitable on before the future is done raises RuntimeError."""
    iterator = iter(make())
    next(iterator)
    with pytest.raises(RuntimeError, match="await wasn't used with future"):
        next(iterator)


def test_traceback_shows_the_awaiting_line_and_no_frame_of_the_engine(loop: asyncio.AbstractEventLoop) -> None:
    """Who awaits a future that fails sees the await in the traceback; compiled, the engine is not in it."""

    async def wait(future: Any) -> Any:
        return await future

    future = loop.create_future()
    loop.call_soon(future.set_exception, ValueError("cold"))
    task = loop.create_task(wait(future))
    with pytest.raises(ValueError) as caught:
        loop.run_until_complete(task)
    frames = [frame for frame in traceback.extract_tb(caught.tb) if frame.name == "wait"]
    assert [frame.line for frame in frames] == ["return await future"]


def test_raising_twice_does_not_lengthen_the_traceback(make: Any) -> None:
    """Each result() starts from the traceback that the exception was set with."""
    future = make()
    future.set_exception(ValueError())
    lengths = []
    for _ in range(3):
        try:
            future.result()
        except ValueError as error:
            lengths.append(len(traceback.extract_tb(error.__traceback__)))
    assert lengths[0] == lengths[1] == lengths[2]


# -- Reports


def read(future: Any) -> None:
    with pytest.raises(ValueError):
        future.result()


@pytest.mark.parametrize(
    ("look", "reported"),
    [
        (lambda future: None, True),
        (lambda future: future.exception(), False),
        (read, False),
        (lambda future: future.cancel(), False),
    ],
    ids=["nobody looks", "exception()", "result()", "cancel()"],
)
def test_exception_never_retrieved(
    make: Any, any_loop: asyncio.AbstractEventLoop, look: Callable[[Any], object], reported: bool
) -> None:
    """An exception that nobody has asked for is reported when its future goes, with asyncio's words."""
    reports, future, error = Reports(any_loop), make(), ValueError("unseen")
    future.set_exception(error)
    look(future)
    del future
    assert reports.messages == (["Future exception was never retrieved"] if reported else [])
    if reported:
        assert reports.contexts[0]["exception"] is error


def test_report_names_where_the_future_was_made(loop: asyncio.AbstractEventLoop) -> None:
    """In debug mode the report carries the creation stack, which ends in the user's code."""
    loop.set_debug(True)
    reports, future = Reports(loop), loop.create_future()
    future.set_exception(ValueError())
    del future
    assert reports.messages == ["Future exception was never retrieved"]
    assert reports.contexts[0]["source_traceback"][-1].name == "test_report_names_where_the_future_was_made"


def test_repr_tells_state_result_and_callbacks(make: Any) -> None:
    """repr() reads as asyncio's."""
    future = make()
    assert repr(future) == "<Future pending>"
    future.add_done_callback(print)
    assert repr(future).startswith("<Future pending cb=[") and "print" in repr(future)
    future.remove_done_callback(print)
    future.set_result("tea")
    assert repr(future) == "<Future finished result='tea'>"
    cancelled = make()
    cancelled.cancel()
    assert repr(cancelled) == "<Future cancelled>"


def test_repr_of_a_future_that_holds_itself_ends(make: Any) -> None:
    """A future that is its own result has a finite repr()."""
    future = make()
    future.set_result(future)
    assert len(repr(future)) < 1000


# -- Outside of the loop's thread


def test_debug_mode_refuses_another_threads_set_result(any_loop: asyncio.AbstractEventLoop) -> None:
    """In debug mode finishing a future that somebody waits for, from another thread, is a RuntimeError."""
    any_loop.set_debug(True)
    future, raised = any_loop.create_future(), []

    def finish() -> None:
        try:
            future.set_result(None)
        except RuntimeError as error:
            raised.append(str(error))

    async def main() -> None:
        future.add_done_callback(lambda _: None)
        thread = threading.Thread(target=finish)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.001)

    any_loop.run_until_complete(main())
    assert len(raised) == 1 and raised[0].startswith("Non-thread-safe operation")


def test_future_without_a_loop_belongs_to_the_running_one() -> None:
    """Future() takes the running loop, hocket's or not."""

    async def main() -> bool:
        return hocket.Future().get_loop() is asyncio.get_running_loop()

    for factory in (hocket.new_event_loop, stock):
        assert run(factory, main())


def test_wrap_future_brings_a_threads_result(loop: asyncio.AbstractEventLoop) -> None:
    """A concurrent future's result reaches the loop through asyncio.wrap_future."""

    async def main() -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, lambda: "from a thread")

    assert loop.run_until_complete(main()) == "from a thread"
    loop.run_until_complete(loop.shutdown_default_executor())
