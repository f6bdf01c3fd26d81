"""hocket.Task: what a program sees of it, on hocket's loop and on asyncio's own."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import io
import traceback
import weakref
from typing import Any

import pytest

import hocket

from .loops import EVERY, OURS, Reports, run

every_loop = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


def task_of(coroutine: Any, **options: Any) -> Any:
    return hocket.Task(coroutine, loop=asyncio.get_running_loop(), **options)


async def nothing() -> None: ...


async def value(it: Any = "tea") -> Any:
    await asyncio.sleep(0)
    return it


# -- What it is


def test_passes_for_asyncios(loop: asyncio.AbstractEventLoop) -> None:
    """create_task() of hocket's loop makes a hocket.Task, which is an asyncio.Task and Future by isinstance."""
    task = loop.create_task(nothing())
    loop.run_until_complete(task)
    assert type(task) is hocket.Task
    assert isinstance(task, asyncio.Task) and isinstance(task, asyncio.Future) and asyncio.isfuture(task)


@every_loop
@pytest.mark.parametrize("wrong", [None, 1, nothing, print], ids=["None", "1", "function", "builtin"])
def test_wants_a_coroutine(factory: Any, wrong: Any) -> None:
    """Anything that is not a coroutine is a TypeError that shows it, and nothing is reported later."""

    async def main() -> list[str]:
        reports = Reports(asyncio.get_running_loop())
        with pytest.raises(TypeError, match="a coroutine was expected"):
            task_of(wrong)
        return reports.messages

    assert run(factory, main()) == []


@every_loop
def test_names(factory: Any) -> None:
    """A name that was given, one that was set, and different ones for tasks without."""

    async def main() -> None:
        tasks = [task_of(nothing(), name="tea"), task_of(nothing()), task_of(nothing()), task_of(nothing(), name=7)]
        assert tasks[0].get_name() == "tea" and tasks[3].get_name() == "7"
        assert tasks[1].get_name().startswith("Task-") and tasks[1].get_name() != tasks[2].get_name()
        tasks[1].set_name(8)
        assert tasks[1].get_name() == "8"
        assert "name='tea'" in repr(tasks[0]) and "nothing()" in repr(tasks[0])
        await asyncio.wait(tasks)

    run(factory, main())


@every_loop
@pytest.mark.parametrize("method", ["set_result", "set_exception"])
def test_outcome_cannot_be_set(factory: Any, method: str) -> None:
    """A task's outcome is its coroutine's."""

    async def main() -> None:
        task = task_of(nothing())
        with pytest.raises(RuntimeError, match=f"Task does not support {method} operation"):
            getattr(task, method)(ValueError())
        await task

    run(factory, main())


@every_loop
def test_stack_shows_where_it_is_suspended(factory: Any) -> None:
    """get_stack() and print_stack() tell where a suspended task stands."""

    async def waits_here() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        task = task_of(waits_here())
        await asyncio.sleep(0)
        assert [frame.f_code.co_name for frame in task.get_stack()] == ["waits_here"]
        printed = io.StringIO()
        task.print_stack(file=printed)
        assert "waits_here" in printed.getvalue()
        task.cancel()
        await asyncio.wait([task])

    run(factory, main())


# -- Contexts


@every_loop
def test_runs_in_a_copy_of_the_context(factory: Any) -> None:
    """A task sees what was set before it was made, and what it sets stays inside, across suspensions."""
    seen: list[str] = []

    async def child() -> None:
        seen.append(variable.get())
        variable.set("child")
        await asyncio.sleep(0)
        seen.append(variable.get())

    async def main() -> None:
        variable.set("main")
        task = task_of(child())
        variable.set("later")
        await task
        seen.append(variable.get())

    run(factory, main())
    assert seen == ["main", "child", "later"]


@every_loop
def test_runs_in_a_given_context(factory: Any) -> None:
    """With context= the task runs in that very context, and get_context() gives it back."""

    async def child() -> None:
        await asyncio.sleep(0)
        variable.set("child")

    async def main() -> None:
        context = contextvars.copy_context()
        task = task_of(child(), context=context)
        assert task.get_context() is context
        await task
        assert context[variable] == "child" and variable.get() == "outside"

    run(factory, main())


# -- Eager start


@every_loop
def test_eager_start_runs_at_once(factory: Any) -> None:
    """eager_start=True runs the first step inside of the constructor, on every supported Python."""
    seen: list[Any] = []

    async def child() -> str:
        seen.append(asyncio.current_task().get_name())  # type: ignore[union-attr]
        await asyncio.sleep(0)
        seen.append("second step")
        return "done"

    async def main() -> None:
        me = asyncio.current_task()
        task = task_of(child(), eager_start=True, name="eager")
        assert seen == ["eager"] and asyncio.current_task() is me
        assert await task == "done"
        assert seen == ["eager", "second step"]

    run(factory, main())


@every_loop
def test_eager_task_that_never_suspends_is_done_at_once(factory: Any) -> None:
    """Result, exception and None for its coroutine are there when the constructor returns."""

    async def fail() -> None:
        raise ValueError

    async def main() -> None:
        over, failed = task_of(nothing(), eager_start=True), task_of(fail(), eager_start=True)
        assert over.done() and over.result() is None and over.get_coro() is None
        assert failed.done() and type(failed.exception()) is ValueError
        assert {over, failed}.isdisjoint(asyncio.all_tasks())

    run(factory, main())


@every_loop
def test_current_task_in_nested_eager_starts(factory: Any) -> None:
    """Each eager task is the current one while it runs; then whoever started it is again."""
    seen: list[str] = []

    def note() -> None:
        task = asyncio.current_task()
        seen.append("nobody" if task is None else task.get_name())

    async def inner() -> None:
        note()

    async def outer() -> None:
        note()
        task_of(inner(), eager_start=True, name="inner")
        note()
        await asyncio.sleep(0)
        note()

    async def main() -> None:
        asyncio.current_task().set_name("main")  # type: ignore[union-attr]
        task = task_of(outer(), eager_start=True, name="outer")
        note()
        await task
        note()

    run(factory, main())
    assert seen == ["outer", "inner", "outer", "main", "outer", "main"]


@every_loop
def test_an_eager_task_is_among_all_tasks_while_it_runs(factory: Any) -> None:
    """From its first step on."""

    async def child() -> bool:
        return asyncio.current_task() in asyncio.all_tasks()

    async def main() -> bool:
        return bool(task_of(child(), eager_start=True).result())

    assert run(factory, main())


@every_loop
def test_eager_start_keeps_its_own_context(factory: Any) -> None:
    """What an eager task sets is not seen by who started it."""

    async def child() -> None:
        variable.set("child")

    async def main() -> str:
        task_of(child(), eager_start=True)
        return variable.get()

    assert run(factory, main()) == "outside"


def test_unknown_option_is_refused(loop: asyncio.AbstractEventLoop) -> None:
    """create_task() refuses an option that it does not know, by name."""
    coroutine = nothing()
    with pytest.raises(TypeError, match="eager_stat"):
        loop.create_task(coroutine, eager_stat=True)  # type: ignore[call-arg]
    coroutine.close()


# -- Who is running


@every_loop
def test_no_task_is_current_in_callbacks(factory: Any) -> None:
    """call_soon, timers and done callbacks run with no current task, also right after a task's step."""
    seen: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        future.add_done_callback(lambda _: seen.append(asyncio.current_task()))
        loop.call_soon(lambda: seen.append(asyncio.current_task()))
        loop.call_later(0, lambda: seen.append(asyncio.current_task()))
        loop.call_soon_threadsafe(lambda: seen.append(asyncio.current_task()))
        future.set_result(None)
        me = asyncio.current_task()
        while len(seen) < 4:
            await asyncio.sleep(0)
            assert asyncio.current_task() is me

    run(factory, main())
    assert seen == [None] * 4


@every_loop
def test_no_task_is_current_outside(factory: Any) -> None:
    """When the loop stops nobody is current, and asking without a running loop is a RuntimeError."""
    loop = factory()
    loop.run_until_complete(value())
    assert asyncio.current_task(loop) is None
    with pytest.raises(RuntimeError):
        asyncio.current_task()
    loop.close()


# -- Cancellation


@every_loop
def test_cancel_counts_and_uncancel_takes_back(factory: Any) -> None:
    """cancelling() counts requests; uncancel() takes one back and never goes below none."""

    async def main() -> None:
        task = task_of(asyncio.sleep(60))
        await asyncio.sleep(0)
        assert task.cancelling() == 0
        assert task.cancel() and task.cancel() and task.cancelling() == 2
        assert [task.uncancel() for _ in range(3)] == [1, 0, 0]
        await asyncio.wait([task])
        assert task.cancelled() and not task.cancel()

    run(factory, main())


@every_loop
def test_cancelled_before_the_first_step_never_begins(factory: Any) -> None:
    """A task that is cancelled before it ran does not run any of its code."""
    seen: list[str] = []

    async def child() -> None:
        seen.append("began")

    async def main() -> bool:
        task = task_of(child())
        task.cancel()
        await asyncio.wait([task])
        return bool(task.cancelled())

    assert run(factory, main()) and seen == []


@every_loop
def test_a_task_may_refuse(factory: Any) -> None:
    """A task that catches CancelledError goes on, and its result counts."""

    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            return f"refused {error.args[0]}"
        return "not cancelled"

    async def main() -> Any:
        task = task_of(stubborn())
        await asyncio.sleep(0)
        task.cancel("politely")
        return await task

    assert run(factory, main()) == "refused politely"


@every_loop
def test_cancelling_reaches_the_innermost_await(factory: Any) -> None:
    """Cancelling a task cancels what it awaits, down to the last one, and tells all on the way up."""
    seen: list[str] = []

    async def level(depth: int) -> None:
        try:
            await (task_of(level(depth - 1)) if depth else asyncio.sleep(60))
        except asyncio.CancelledError:
            seen.append(f"level {depth}")
            raise

    async def main() -> bool:
        task = task_of(level(3))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return bool(task.cancelled())

    assert run(factory, main())
    assert seen == ["level 0", "level 1", "level 2", "level 3"]


@every_loop
def test_the_message_arrives_through_await(factory: Any) -> None:
    """Who awaits a cancelled task gets CancelledError with the message."""

    async def main() -> Any:
        task = task_of(asyncio.sleep(60))
        await asyncio.sleep(0)
        task.cancel("closing time")
        try:
            await task
        except asyncio.CancelledError as error:
            return error.args

    assert run(factory, main()) == ("closing time",)


@every_loop
def test_timeouts_and_groups_work(factory: Any) -> None:
    """asyncio.timeout and TaskGroup, which count cancellations, work with hocket's tasks."""

    async def fail() -> None:
        raise ValueError("one fails")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                sibling = group.create_task(asyncio.sleep(60))
                group.create_task(fail())
        assert [str(error) for error in caught.value.exceptions] == ["one fails"]
        assert sibling.cancelled()

    run(factory, main())


# -- Failing, and being awaited wrongly


@every_loop
@pytest.mark.parametrize("yielded", [7, "text", object()], ids=["number", "text", "object"])
def test_yielding_nonsense_is_an_error_in_the_task(factory: Any, yielded: Any) -> None:
    """What a task cannot wait for is refused at the very await."""

    class Nonsense:
        def __await__(self) -> Any:
            yield yielded

    async def child() -> str:
        try:
            await Nonsense()
        except RuntimeError as error:
            return str(error)
        return "accepted"

    async def main() -> str:
        return await task_of(child())  # type: ignore[no-any-return]

    assert "bad yield" in run(factory, main())


@every_loop
def test_awaiting_itself_and_another_loops_future_is_refused(factory: Any) -> None:
    """A task cannot await itself, nor what belongs to another loop."""
    other = factory()

    async def refused(awaited: Any) -> str:
        with pytest.raises(RuntimeError) as caught:
            await (awaited if awaited is not None else asyncio.current_task())
        return str(caught.value)

    async def main() -> list[str]:
        return [await task_of(refused(None)), await task_of(refused(other.create_future()))]

    messages = run(factory, main())
    other.close()
    assert "cannot await on itself" in messages[0] and "attached to a different loop" in messages[1]


@every_loop
def test_traceback_of_a_failed_task(factory: Any) -> None:
    """The traceback goes from who awaited through await to where it was raised, without frames of the engine."""

    async def bottom() -> None:
        await asyncio.sleep(0)
        raise ValueError

    async def top() -> None:
        await task_of(bottom())

    async def main() -> Any:
        try:
            await task_of(top())
        except ValueError as error:
            return traceback.extract_tb(error.__traceback__)

    frames = run(factory, main())
    # A compiled frame bears the path that the file had in the build.
    foreign = [frame.name for frame in frames if "/hocket/core/" not in frame.filename]
    assert foreign == ["main", "top", "bottom"]
    if hocket.is_compiled() and factory in OURS:
        assert [frame.name for frame in frames] == ["main", "top", "bottom"]


@every_loop
@pytest.mark.parametrize("failing", [KeyboardInterrupt, SystemExit])
def test_interrupts_stop_the_loop_and_finish_the_task(factory: Any, failing: type[BaseException]) -> None:
    """KeyboardInterrupt and SystemExit leave the loop at once; the task holds them; the loop can be used again."""

    async def interrupted() -> None:
        await asyncio.sleep(0)
        raise failing

    loop = factory()
    task = hocket.Task(interrupted(), loop=loop)
    with pytest.raises(failing):
        loop.run_until_complete(task)
    assert type(task.exception()) is failing
    assert loop.run_until_complete(value()) == "tea"
    loop.close()


# -- Reports


@every_loop
def test_exception_never_retrieved(factory: Any) -> None:
    """A failed task that nobody looked at is reported once it is gone, in asyncio's words."""

    async def fail() -> None:
        raise ValueError("unseen")

    async def main() -> Any:
        reports = Reports(asyncio.get_running_loop())
        task_of(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return reports.messages, [str(context["exception"]) for context in reports.contexts]

    assert run(factory, main()) == (["Task exception was never retrieved"], ["unseen"])


def test_destroyed_pending_is_reported(loop: asyncio.AbstractEventLoop) -> None:
    """A pending task that goes with its closed loop is reported in asyncio's words."""

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    reports = Reports(loop)
    task = loop.create_task(forever())
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    gone = weakref.ref(task)
    del task
    assert reports.messages == ["Task was destroyed but it is pending!"]
    reports.contexts.clear()
    gc.collect()
    assert gone() is None


def test_a_task_nobody_refers_to_lives_on(loop: asyncio.AbstractEventLoop) -> None:
    """hocket's loop holds its live tasks: one that only a dropped future could wake is not collected."""

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> tuple[bool, bool]:
        gone = weakref.ref(asyncio.create_task(forever()))
        await asyncio.sleep(0)
        gc.collect()
        alive = gone() is not None and gone() in asyncio.all_tasks()
        gone().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        return alive, gone() is None

    assert loop.run_until_complete(main()) == (True, True)


# -- Mixing


@every_loop
def test_gather_takes_both_classes(factory: Any) -> None:
    """gather() of hocket's and asyncio's tasks and futures and plain coroutines, in one call."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        ours, theirs = hocket.Future(loop=loop), asyncio.Future(loop=loop)
        loop.call_soon(ours.set_result, 1)
        loop.call_soon(theirs.set_result, 2)
        tasks = task_of(value(3)), asyncio.Task(value(4), loop=loop)
        return await asyncio.gather(ours, theirs, *tasks, value(5))

    assert run(factory, main()) == [1, 2, 3, 4, 5]


@every_loop
def test_generator_based_awaitables(factory: Any) -> None:
    """An object whose __await__ is a generator can be awaited to any depth."""

    class Deep:
        def __init__(self, depth: int) -> None:
            self.depth = depth

        def __await__(self) -> Any:
            yield
            return 1 + (yield from Deep(self.depth - 1).__await__()) if self.depth else 0

    async def child() -> int:
        return await Deep(20)  # type: ignore[no-any-return]

    async def main() -> int:
        return await task_of(child())  # type: ignore[no-any-return]

    assert run(factory, main()) == 20


def test_task_factory_makes_the_tasks(any_loop: asyncio.AbstractEventLoop) -> None:
    """A task factory decides what create_task() gives, also asyncio.create_task and gather."""
    made: list[Any] = []

    def factory(loop: Any, coro: Any, **options: Any) -> Any:
        made.append(asyncio.Task(coro, loop=loop, **options))
        return made[-1]

    async def main() -> list[Any]:
        return await asyncio.gather(value(1), asyncio.create_task(value(2)))

    any_loop.set_task_factory(factory)
    assert any_loop.run_until_complete(main()) == [1, 2]
    assert len(made) == 3 and all(type(task) is asyncio.Task for task in made)
