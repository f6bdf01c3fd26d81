"""`to_thread.run_sync` and `from_thread`: a call in a thread belongs to its task, and can find its way back."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import math
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import hocket
from hocket import from_thread, to_thread
from hocket.observe import snapshot
from hocket.structured import worker_threads

SOON = 20.0


def until(condition: Callable[[], object]) -> None:
    """Wait in a thread until that is so."""
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.001)


async def until_so(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.001)


def check_until_cancelled() -> None:
    """What a thread does that works in small pieces."""
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        from_thread.check_cancelled()
        time.sleep(0.001)
    raise AssertionError("nobody has cancelled it")


# -- run_sync


def test_it_gives_the_result() -> None:
    """Of a call in another thread, which sees the context variables of the task."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def main() -> tuple[str, bool]:
        variable.set("seen")
        return await to_thread.run_sync(lambda: (variable.get(), threading.current_thread() is threading.main_thread()))

    assert hocket.run(main()) == ("seen", False)


def test_it_raises_what_the_function_raises() -> None:
    """And keeps nothing alive by its traceback."""

    class Thing:
        pass

    async def main() -> weakref.ref[Any]:
        thing = Thing()

        def fail(thing: Thing) -> None:
            raise ValueError("no such file")

        gc.disable()
        try:
            try:
                await to_thread.run_sync(fail, thing)
            except ValueError:
                pass
            reference = weakref.ref(thing)
            del thing
            # Its thread may not have come to the end of the call.
            await until_so(lambda: reference() is None)
        finally:
            gc.enable()
        return reference

    hocket.run(main())


async def an_async_function() -> None: ...


@pytest.mark.parametrize("function", [5, an_async_function])
def test_what_cannot_be_called_in_a_thread_is_refused(function: Any) -> None:
    """TypeError, with what came."""

    async def main() -> None:
        with pytest.raises(TypeError, match=r"an_async_function|5"):
            await to_thread.run_sync(function)

    hocket.run(main())


def test_it_needs_a_loop_of_hockets() -> None:
    """RuntimeError on another one."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="hocket's loops"):
            await to_thread.run_sync(int)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(main())


def test_to_thread_itself_is_asyncios() -> None:
    """It takes keyword arguments for the function, and runs in the loop's default executor."""

    async def main() -> tuple[int, str]:
        return await hocket.to_thread(int, "11", base=2), await hocket.to_thread(
            lambda: threading.current_thread().name
        )

    number, name = hocket.run(main())
    assert number == 3 and name.startswith("asyncio")


def test_threads_are_used_again() -> None:
    """One after the other in the same; two at once in two."""

    async def main() -> tuple[set[int], set[int]]:
        ident = threading.get_ident
        one = {await to_thread.run_sync(ident) for _ in range(10)}
        both = threading.Barrier(2, timeout=SOON)

        def meet() -> int:
            both.wait()
            return ident()

        async with asyncio.TaskGroup() as group:
            two = [group.create_task(to_thread.run_sync(meet)) for _ in range(2)]
        return one, {task.result() for task in two}

    one, two = hocket.run(main())
    assert (len(one), len(two)) == (1, 2)


def test_who_hears_first_finds_the_thread_free() -> None:
    """Even who has asked for the outcome before the thread has begun."""
    first, second = (worker_threads.Job(threading.get_ident, (), contextvars.copy_context(), None) for _ in range(2))
    first.add_done_callback(lambda _: worker_threads.threads.start(second))
    worker_threads.threads.start(first)
    assert first.result(SOON) == second.result(SOON)


def test_a_thread_that_is_chosen_when_it_has_waited_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the call, and can be chosen again at once."""
    monkeypatch.setattr(worker_threads, "IDLE_SECONDS", 0.01)
    first, second, third = (
        worker_threads.Job(threading.get_ident, (), contextvars.copy_context(), None) for _ in range(3)
    )
    workers = worker_threads.WorkerThreads()

    class ChosenMeanwhile(dict[Any, None]):
        def pop(self, worker: Any, default: Any) -> Any:
            if not second.done():
                workers.start(second)
            return super().pop(worker, default)

    workers._idle = ChosenMeanwhile()
    second.add_done_callback(lambda _: workers.start(third))
    workers.start(first)
    assert first.result(SOON) == second.result(SOON) == third.result(SOON)


def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some time without a call."""
    monkeypatch.setattr(worker_threads, "IDLE_SECONDS", 0.01)

    async def main() -> threading.Thread:
        return await to_thread.run_sync(threading.current_thread)

    # The first may be one that has been waiting for longer.
    for _ in range(2):
        thread = hocket.run(main())
        thread.join(SOON)
        assert not thread.is_alive()


def test_the_thread_of_a_call_that_was_cancelled_before_it_began_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as idle as after any other call, though it has made none."""
    monkeypatch.setattr(worker_threads, "IDLE_SECONDS", 0.01)

    def workers() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("hocket-worker-")}

    before = workers()
    calls: list[int] = []
    job = worker_threads.Job(calls.append, (1,), contextvars.copy_context(), None)
    job.cancel()
    worker_threads.WorkerThreads().start(job)
    until(lambda: workers() <= before)
    assert calls == []


def test_limiter_bounds_how_many_run_at_once() -> None:
    """Of ten calls two at a time."""

    async def main() -> int:
        limiter = hocket.CapacityLimiter(2)
        running = most = 0
        lock = threading.Lock()
        both = threading.Barrier(2, timeout=SOON)

        def work() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            both.wait()
            time.sleep(0.005)
            with lock:
                running -= 1

        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(to_thread.run_sync(work, limiter=limiter))
        return most

    assert hocket.run(main()) == 2


def test_a_semaphore_is_a_limiter() -> None:
    """Whatever has acquire and release; and nothing else."""

    async def main() -> bool:
        semaphore = hocket.Semaphore(1)
        seen = await to_thread.run_sync(semaphore.locked, limiter=semaphore)
        assert not semaphore.locked()
        with pytest.raises(TypeError, match="limiter expected"):
            await to_thread.run_sync(int, limiter=5)
        return seen

    assert hocket.run(main())


def test_each_loop_has_a_limiter_of_its_own() -> None:
    """Of 40, unless somebody changes it."""

    async def main() -> float:
        limiter = to_thread.current_default_thread_limiter()
        assert limiter is to_thread.current_default_thread_limiter()
        before = limiter.total_tokens
        limiter.total_tokens = 1
        return before

    assert [hocket.run(main()), hocket.run(main())] == [40, 40]


# -- Cancellation


def test_the_thread_is_told_that_its_scope_was_cancelled() -> None:
    """check_cancelled raises there, the task waits until the call is over, and the scope catches."""

    async def main() -> list[str]:
        log: list[str] = []

        def work() -> None:
            from_thread.run_sync(scope.cancel)
            try:
                check_until_cancelled()
            finally:
                time.sleep(0.01)
                log.append("thread over")

        with hocket.CancelScope() as scope:
            await to_thread.run_sync(work)
        log.append(f"caught {scope.cancelled_caught}")
        return log

    assert hocket.run(main()) == ["thread over", "caught True"]


def test_the_thread_is_told_of_a_time_limit() -> None:
    """fail_after raises TimeoutError when the thread has noticed, and the thread knows how long it has."""

    async def main() -> tuple[float, float]:
        def work() -> tuple[float, float]:
            return hocket.remaining(), threading.get_ident()

        with hocket.fail_after(100):
            left, _ = await to_thread.run_sync(work)
        assert await to_thread.run_sync(hocket.remaining) == math.inf
        with pytest.raises(TimeoutError), hocket.fail_after(SOON) as scope:

            def shorten() -> None:
                scope.deadline = asyncio.get_running_loop().time() + 0.01

            def end() -> None:
                from_thread.run_sync(shorten)
                check_until_cancelled()

            await to_thread.run_sync(end)
        return left, hocket.remaining()

    left, without = hocket.run(main())
    assert 90 < left <= 100 and without == math.inf


def test_the_thread_is_told_of_task_cancel() -> None:
    """The task ends cancelled, with the message, when the call has ended."""

    async def main() -> asyncio.Task[None]:
        def end() -> None:
            from_thread.run_sync(task.cancel, "enough")
            check_until_cancelled()

        task = asyncio.create_task(to_thread.run_sync(end))
        await asyncio.wait([task])
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        return task

    task = hocket.run(main())
    assert task.cancelled() and task.cancelling() == 1


def test_a_result_is_not_lost_to_task_cancel() -> None:
    """A call that does not ask gives its value, and the cancellation comes at the next await, as often as requested."""

    async def main() -> list[object]:
        log: list[object] = []
        begun, go = threading.Event(), threading.Event()

        def work() -> str:
            begun.set()
            go.wait(SOON)
            return "opened"

        async def use() -> None:
            log.append(await to_thread.run_sync(work))
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                log.append(str(error))
                raise

        task = asyncio.create_task(use())
        await until_so(begun.is_set)
        task.cancel("enough")
        await asyncio.sleep(0)
        go.set()
        await asyncio.wait([task])
        return [*log, task.cancelled(), task.cancelling()]

    assert hocket.run(main()) == ["opened", "enough", True, 1]


def test_a_result_is_not_lost_to_a_scope() -> None:
    """It comes back, and the next await raises."""

    async def main() -> list[str]:
        log = []
        with hocket.CancelScope() as scope:

            def work() -> str:
                from_thread.run_sync(scope.cancel)
                return "opened"

            log.append(await to_thread.run_sync(work))
            await asyncio.sleep(0)
            log.append("went on")
        return log

    assert hocket.run(main()) == ["opened"]


def test_an_exception_is_not_lost_to_task_cancel() -> None:
    """It is raised, and the cancellation comes at the next await."""

    async def main() -> list[str]:
        log = []
        begun, go = threading.Event(), threading.Event()

        def work() -> str:
            begun.set()
            go.wait(SOON)
            raise OSError("disk full")

        async def use() -> None:
            try:
                await to_thread.run_sync(work)
            except OSError as error:
                log.append(str(error))
            await asyncio.sleep(0)
            log.append("went on")

        task = asyncio.create_task(use())
        await until_so(begun.is_set)
        task.cancel()
        go.set()
        await asyncio.wait([task])
        return log

    assert hocket.run(main()) == ["disk full"]


def test_asyncio_timeout_works_around_it() -> None:
    """It cancels by Task.cancel, and gets its cancellation back."""

    async def main() -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SOON) as timeout:

                def shorten() -> None:
                    timeout.reschedule(asyncio.get_running_loop().time() + 0.01)

                def end() -> None:
                    from_thread.run_sync(shorten)
                    check_until_cancelled()

                await to_thread.run_sync(end)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert hocket.run(main()) == 0


def test_a_cancelled_scope_starts_no_thread() -> None:
    """The function is not called."""

    async def main() -> list[int]:
        called: list[int] = []
        with hocket.CancelScope() as scope:
            scope.cancel()
            await to_thread.run_sync(called.append, 1)
        return called

    assert hocket.run(main()) == []


def test_an_abandoned_call_goes_on_alone() -> None:
    """The task goes on at once; the thread is told, and keeps its place in the limiter to the end."""

    async def main() -> list[object]:
        log: list[object] = []
        limiter = hocket.CapacityLimiter(1)
        go = threading.Event()
        told = threading.Event()

        def work() -> None:
            from_thread.run_sync(scope.cancel)
            go.wait(SOON)
            try:
                check_until_cancelled()
            finally:
                told.set()

        with hocket.CancelScope() as scope:
            await to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)
        log += [scope.cancelled_caught, limiter.borrowed_tokens]
        go.set()
        await until_so(told.is_set)
        await until_so(lambda: limiter.borrowed_tokens == 0)
        return log

    assert hocket.run(main()) == [True, 1]


def test_what_an_abandoned_call_raises_is_reported() -> None:
    """To the loop's exception handler, with the function."""

    async def main() -> list[str]:
        messages: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: messages.append(context["message"]))
        go = threading.Event()

        def work_that_fails() -> None:
            from_thread.run_sync(scope.cancel)
            go.wait(SOON)
            raise OSError("disk full")

        with hocket.CancelScope() as scope:
            await to_thread.run_sync(work_that_fails, abandon_on_cancel=True)
        go.set()
        await until_so(lambda: messages)
        return messages

    [message] = hocket.run(main())
    assert "abandoned" in message and "work_that_fails" in message


# -- from_thread


def test_run_awaits_in_the_loop() -> None:
    """In the loop's thread, with the context variables of the call, and gives the result."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def answer(number: int) -> tuple[int, str, int]:
        await asyncio.sleep(0)
        return number, variable.get(), threading.get_ident()

    def work() -> tuple[int, str, int]:
        variable.set("from the thread")
        return from_thread.run(answer, 42)

    async def main() -> tuple[int, str, int]:
        return await to_thread.run_sync(work)

    assert hocket.run(main()) == (42, "from the thread", threading.get_ident())


def test_run_raises_what_the_coroutine_raises() -> None:
    """And run_sync what the function raises."""

    async def fail() -> None:
        raise KeyError("nobody")

    def fail_at_once() -> None:
        raise IndexError("none")

    def work() -> list[str]:
        found = []
        for way, function in ((from_thread.run, fail), (from_thread.run_sync, fail_at_once)):
            try:
                way(function)  # type: ignore[operator]
            except LookupError as error:
                found.append(repr(error))
        return found

    async def main() -> list[str]:
        return await to_thread.run_sync(work)

    assert hocket.run(main()) == ["KeyError('nobody')", "IndexError('none')"]


@pytest.mark.parametrize("how", ["scope", "deadline", "cancel"])
def test_what_the_thread_waits_for_is_cancelled_with_its_host(how: str) -> None:
    """Wherever that comes from; the thread gets CancelledError."""

    async def main() -> list[str]:
        log: list[str] = []

        async def forever() -> None:
            loop = asyncio.get_running_loop()
            if how == "scope":
                loop.call_soon(scope.cancel)
            elif how == "deadline":
                scope.deadline = loop.time() + 0.01
            else:
                task.cancel()
            try:
                await asyncio.sleep(SOON)
            finally:
                log.append("cancelled in the loop")

        def work() -> None:
            try:
                from_thread.run(forever)
            except asyncio.CancelledError:
                log.append("cancelled in the thread")
                raise

        async def host() -> None:
            with scope:
                await to_thread.run_sync(work)
            log.append("caught")

        scope = hocket.CancelScope()
        task = asyncio.create_task(host())
        await asyncio.wait([task])
        return [*log, f"task cancelled {task.cancelled()}"]

    log = hocket.run(main())
    assert log[:2] == ["cancelled in the loop", "cancelled in the thread"]
    assert log[2:] == (["task cancelled True"] if how == "cancel" else ["caught", "task cancelled False"])


def test_a_cancelled_host_is_not_given_anything_to_wait_for() -> None:
    """from_thread.run raises at once if the host was cancelled before the call; run_sync works."""

    async def main() -> list[str]:
        log: list[str] = []

        async def forever() -> None:
            log.append("begun")
            await asyncio.sleep(SOON)

        def work() -> None:
            from_thread.run_sync(scope.cancel)
            until(is_told)
            try:
                from_thread.run(forever)
            except asyncio.CancelledError:
                log.append("refused")
            log.append(from_thread.run_sync(lambda: "still works"))

        with hocket.CancelScope() as scope:
            await to_thread.run_sync(work)
        return log

    def is_told() -> bool:
        try:
            from_thread.check_cancelled()
        except asyncio.CancelledError:
            return True
        return False

    assert hocket.run(main()) == ["refused", "still works"]


def test_what_runs_for_a_thread_knows_the_deadline() -> None:
    """current_effective_deadline is the host's, also inside of from_thread.run."""

    async def ask() -> float:
        return hocket.current_effective_deadline()

    async def main() -> tuple[float, float]:
        with hocket.fail_after(100) as scope:
            return await to_thread.run_sync(lambda: from_thread.run(ask)), scope.deadline

    seen, deadline = hocket.run(main())
    assert seen == deadline


@pytest.mark.parametrize("call", [lambda: from_thread.run(asyncio.sleep, 0), from_thread.check_cancelled])
def test_other_threads_have_no_host(call: Callable[[], object]) -> None:
    """RuntimeError that says what to do instead."""
    with pytest.raises(RuntimeError, match="portal"):
        call()


def test_a_thread_in_which_a_loop_runs_awaits_instead() -> None:
    """from_thread.run would block that loop."""

    async def inner() -> None:
        with pytest.raises(RuntimeError, match="await instead"):
            from_thread.run(asyncio.sleep, 0)

    async def main() -> None:
        await to_thread.run_sync(lambda: hocket.run(inner()))

    hocket.run(main())


def test_a_loop_that_closes_lets_no_thread_wait_for_ever() -> None:
    """What an abandoned thread waits for fails with RuntimeError; so does what it asks for later."""
    errors: list[BaseException] = []
    over = threading.Event()

    def work() -> None:
        for _ in range(2):
            try:
                from_thread.run_sync(hold.wait, SOON) if not errors else from_thread.run_sync(int)
            except BaseException as error:
                errors.append(error)
        over.set()

    async def main() -> None:
        def work_later() -> None:
            from_thread.run_sync(scope.cancel)
            begin.wait(SOON)
            work()

        with hocket.CancelScope() as scope:
            await to_thread.run_sync(work_later, abandon_on_cancel=True)

    begin, hold = threading.Event(), threading.Event()
    hold.set()

    hocket.run(main())
    begin.set()
    assert over.wait(SOON)
    assert [type(error) for error in errors] == [RuntimeError, RuntimeError]


def test_a_wait_is_told_as_a_call_in_a_thread() -> None:
    """By `hocket ps`, `where` and a snapshot."""

    async def main() -> str:
        begun, go = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            go.wait(SOON)

        task = asyncio.create_task(to_thread.run_sync(work), name="worker")
        await until_so(begun.is_set)
        facts = next(one for one in snapshot().tasks if one.name == "worker")
        go.set()
        await task
        assert facts.waits_on is not None
        return f"{facts.waits_on.kind}: {facts.waits_on.what}"

    assert hocket.run(main()).startswith("thread: a call in thread hocket-worker-")
