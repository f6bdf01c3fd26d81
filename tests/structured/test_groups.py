"""`TaskGroup` beyond asyncio's: scopes, `start`, limits, other ends, and groups that survive a failure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import hocket
from tests.structured.test_scopes import now, takes
from tests.virtual import run


async def fail(after: float, error: BaseException) -> None:
    await asyncio.sleep(after)
    raise error


async def give(after: float, value: Any) -> Any:
    await asyncio.sleep(after)
    return value


class TestScope:
    def test_cancel_ends_the_block_and_the_tasks(self) -> None:
        """Without an error; everything ends at once."""

        async def main() -> None:
            with takes(1):
                async with hocket.TaskGroup() as group:
                    tasks = [group.create_task(asyncio.sleep(50)) for _ in range(3)]
                    asyncio.get_running_loop().call_later(1, group.cancel)
                    await asyncio.sleep(50)
                    raise AssertionError
            assert all(task.cancelled() for task in tasks)
            assert group.cancel_scope.cancelled_caught
            current: Any = asyncio.current_task()
            assert current.cancelling() == 0

        run(main())

    def test_cancel_while_the_block_waits_for_the_tasks(self) -> None:
        """A task of the group may call it."""

        async def main() -> None:
            async def stop(group: hocket.TaskGroup) -> None:
                await asyncio.sleep(2)
                group.cancel("that is enough")

            with takes(2):
                async with hocket.TaskGroup() as group:
                    waiting = group.create_task(asyncio.sleep(50))
                    group.start_soon(stop, group)
            assert waiting.cancelled()
            assert group.cancel_scope.reason == "that is enough"

        run(main())

    def test_a_deadline(self) -> None:
        """That of the group's own scope ends it as `cancel` does."""

        async def main() -> None:
            with takes(3):
                async with hocket.TaskGroup() as group:
                    group.cancel_scope.deadline = now() + 3
                    group.start_soon(asyncio.sleep, 50)

        run(main())

    def test_the_scope_around_it(self) -> None:
        """Its cancellation reaches every task, at every suspension, and its deadline is theirs."""

        async def main() -> None:
            seen: list[Any] = []

            async def stubborn() -> None:
                seen.append(hocket.current_effective_deadline())
                for _ in range(3):
                    try:
                        await asyncio.sleep(50)
                    except asyncio.CancelledError as error:
                        why = hocket.why_cancelled(error)
                        seen.append(why and why.scope)

            with takes(2), hocket.move_on_after(2) as scope:
                async with hocket.TaskGroup() as group:
                    group.start_soon(stubborn)
            assert seen == [scope.deadline, scope, scope, scope]
            assert scope.cancelled_caught

        run(main())

    def test_groups_in_groups(self) -> None:
        """A scope reaches all tasks below, through tasks and groups; a shield keeps out what is below it."""

        async def main() -> None:
            log = []

            async def leaf(name: str, shield: bool) -> None:
                with hocket.CancelScope(shield=shield):
                    try:
                        await asyncio.sleep(10)
                        log.append(f"{name} done")
                    except asyncio.CancelledError:
                        log.append(f"{name} cancelled")
                        raise

            async def branch(name: str) -> None:
                with hocket.CancelScope():
                    async with hocket.TaskGroup() as group:
                        with hocket.CancelScope():
                            async with hocket.TaskGroup() as inner:
                                inner.start_soon(leaf, name + "1", False)
                                inner.start_soon(leaf, name + "2", True)
                                group.start_soon(leaf, name + "3", False)

            with takes(10), hocket.move_on_after(1) as scope:
                async with hocket.TaskGroup() as group:
                    group.start_soon(branch, "a")
                    group.start_soon(branch, "b")
            assert sorted(log) == [
                "a1 cancelled",
                "a2 done",
                "a3 cancelled",
                "b1 cancelled",
                "b2 done",
                "b3 cancelled",
            ]
            assert scope.cancelled_caught

        run(main())

    def test_a_task_that_begins_in_a_cancelled_group(self) -> None:
        """It begins, and is cancelled at its first suspension."""

        async def main() -> None:
            log = []

            async def work() -> None:
                log.append("begun")
                await asyncio.sleep(0)
                log.append("not reached")

            async with hocket.TaskGroup() as group:
                group.cancel()
                group.start_soon(work)
            assert log == ["begun"]

        run(main())

    def test_only_the_group_that_was_cancelled(self) -> None:
        """The group around it goes on."""

        async def main() -> None:
            with takes(5):
                async with hocket.TaskGroup() as outer:
                    other = outer.start_soon(give, 5, "other")
                    async with hocket.TaskGroup() as inner:
                        inner.start_soon(asyncio.sleep, 50)
                        inner.cancel()
                    assert inner.cancel_scope.cancelled_caught
            assert other.result() == "other"
            assert not outer.cancel_scope.cancel_called

        run(main())

    def test_errors_in_a_cancelled_group_come_out(self) -> None:
        """All of them: what the tasks and the block raise instead of ending."""

        async def main() -> None:
            async def break_down(error: Exception) -> None:
                try:
                    await asyncio.sleep(50)
                finally:
                    raise error

            with pytest.raises(ExceptionGroup) as caught:
                async with hocket.TaskGroup() as group:
                    group.start_soon(break_down, KeyError())
                    group.start_soon(break_down, IndexError())
                    group.start_soon(asyncio.sleep, 50)
                    asyncio.get_running_loop().call_soon(group.cancel)
                    await break_down(OSError())
            assert sorted(type(error).__name__ for error in caught.value.exceptions) == [
                "IndexError",
                "KeyError",
                "OSError",
            ]

        run(main())

    def test_the_error_of_the_block_is_not_lost(self) -> None:
        """A cancellation that comes while the group waits for its tasks does not take its place."""

        async def main() -> None:
            async def slow_to_end() -> None:
                try:
                    await asyncio.sleep(50)
                finally:
                    with hocket.CancelScope(shield=True):
                        await asyncio.sleep(5)

            with hocket.move_on_after(2) as scope, pytest.raises(ExceptionGroup) as caught:
                async with hocket.TaskGroup() as group:
                    group.start_soon(slow_to_end)
                    await asyncio.sleep(0)
                    raise KeyError
            assert [type(error) for error in caught.value.exceptions] == [KeyError]
            assert scope.cancel_called

        run(main())

    def test_a_failure_cancels_as_asyncio_does(self) -> None:
        """The others get one `Task.cancel` each, and may clean up in peace."""

        async def main() -> None:
            cleaned = []

            async def careful() -> None:
                try:
                    await asyncio.sleep(50)
                except asyncio.CancelledError as error:
                    told = hocket.why_cancelled(error)
                    await asyncio.sleep(3)
                    cleaned.append((told, now()))
                    raise

            with takes(1 + 3), pytest.raises(ExceptionGroup):
                async with hocket.TaskGroup() as group:
                    group.start_soon(careful)
                    group.start_soon(fail, 1, KeyError())
            assert cleaned == [(None, now())]

        run(main())

    def test_it_waits_without_turning(self) -> None:
        """While tasks take their time to end, the group that waits in a cancelled scope does not run."""

        async def main() -> None:
            loop: Any = asyncio.get_running_loop()

            async def slow_to_end() -> None:
                with hocket.CancelScope(shield=True):
                    await asyncio.sleep(100)

            with takes(100), hocket.move_on_after(1):
                async with hocket.TaskGroup() as group:
                    group.start_soon(slow_to_end)
                    before = loop.statistics().turns
            assert loop.statistics().turns - before < 10

        run(main())

    def test_on_another_loop(self) -> None:
        """It is asyncio's group there, and says what it has not."""

        async def main() -> None:
            async with hocket.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0, 3))
                with pytest.raises(RuntimeError, match="has no scope"):
                    group.cancel()
                with pytest.raises(RuntimeError, match=r"start\(\) does not work"):
                    await group.start(give, 0)
            assert task.result() == 3

        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(main())

    def test_before_it_is_entered(self) -> None:
        """There is no scope, and no task can be started."""
        group = hocket.TaskGroup()
        with pytest.raises(RuntimeError, match="has not been entered"):
            _ = group.cancel_scope
        with pytest.raises(RuntimeError, match="has not been entered"):
            group.start_soon(asyncio.sleep, 0)

    def test_after_its_end(self) -> None:
        """A group that is over takes no more tasks, in any way."""

        async def main() -> None:
            async with hocket.TaskGroup() as group:
                pass
            for start in (group.start_soon, group.spawn, group.start):
                with pytest.raises(RuntimeError, match="is finished"):
                    await start(lambda **options: asyncio.sleep(0))
            with pytest.raises(RuntimeError, match="has already been entered"):
                async with group:
                    pass

        run(main())

    def test_left_in_another_task(self) -> None:
        """What asyncio's groups allow is allowed: the scope goes, and nobody stays inside of it."""

        async def main() -> None:
            group = hocket.TaskGroup()
            await group.__aenter__()

            async def leave() -> None:
                await group.__aexit__(None, None, None)

            await asyncio.create_task(leave())
            group.cancel_scope.cancel()
            await asyncio.sleep(1)

        run(main())

    def test_tasks_of_a_factory(self) -> None:
        """What begins at once begins inside of the group's scope."""

        async def main() -> None:
            seen: list[Any] = []

            async def look() -> None:
                seen.append(hocket.current_effective_deadline())
                await asyncio.sleep(50)

            with hocket.move_on_after(1) as scope:
                async with hocket.TaskGroup() as group:
                    group.create_task(look(), eager_start=True)
                    assert seen == [scope.deadline]
            assert scope.cancelled_caught

        run(main())

    def test_tasks_of_another_class(self) -> None:
        """They are not inside, but they end with the group, by `Task.cancel`."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_task_factory(lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options))
            try:
                with takes(1), hocket.move_on_after(1) as scope:
                    async with hocket.TaskGroup() as group:
                        task = group.create_task(asyncio.sleep(50))
                assert task.cancelled()
                assert scope.cancelled_caught
            finally:
                loop.set_task_factory(None)

        run(main())


class TestStart:
    def test_it_waits_until_the_task_is_ready(self) -> None:
        """And gives what the task says; then the task belongs to the group."""

        async def main() -> None:
            async def serve(port: int, *, task_status: hocket.TaskStatus) -> None:
                await asyncio.sleep(2)
                task_status.started(port + 1)
                await asyncio.sleep(50)

            async with hocket.TaskGroup() as group:
                with takes(2):
                    assert await group.start(serve, 80, name="server") == 81
                assert [task.get_name() for task in group._tasks] == ["server"]
                group.cancel()

        run(main())

    def test_an_error_before_that(self) -> None:
        """It comes out of `start`, and the group is as it was."""

        async def main() -> None:
            async def serve(*, task_status: hocket.TaskStatus) -> None:
                await fail(1, OSError("in use"))

            async with hocket.TaskGroup() as group:
                with takes(1), pytest.raises(OSError, match="in use"):
                    await group.start(serve)
                task = group.start_soon(give, 1, "still there")
            assert task.result() == "still there"

        run(main())

    def test_an_error_after_that(self) -> None:
        """It is the group's."""

        async def main() -> None:
            async def serve(*, task_status: hocket.TaskStatus) -> None:
                task_status.started()
                await fail(1, KeyError())

            with pytest.raises(ExceptionGroup):
                async with hocket.TaskGroup() as group:
                    assert await group.start(serve) is None
                    await asyncio.sleep(50)

        run(main())

    def test_who_never_says_so(self) -> None:
        """`RuntimeError` for a task that returns, or is cancelled, without having called it."""

        async def main() -> None:
            async def forget(*, task_status: hocket.TaskStatus) -> None:
                await asyncio.sleep(1)

            async def give_up(*, task_status: hocket.TaskStatus) -> None:
                current: Any = asyncio.current_task()
                current.cancel()
                await asyncio.sleep(1)

            async with hocket.TaskGroup() as group:
                with pytest.raises(RuntimeError, match="without having called"):
                    await group.start(forget)
                with pytest.raises(RuntimeError, match="was cancelled before"):
                    await group.start(give_up)

        run(main())

    def test_who_says_so_twice(self) -> None:
        """`RuntimeError` in the task."""

        async def main() -> None:
            async def serve(*, task_status: hocket.TaskStatus) -> None:
                task_status.started()
                with pytest.raises(RuntimeError, match="has been called before"):
                    task_status.started()

            async with hocket.TaskGroup() as group:
                await group.start(serve)

        run(main())

    def test_the_limit_of_the_caller(self) -> None:
        """It holds until the task is ready, and not longer; so does the cancellation of the caller's scope."""

        async def main() -> None:
            ended = []
            deadlines = []

            async def serve(delay: float, *, task_status: hocket.TaskStatus) -> None:
                try:
                    await asyncio.sleep(delay)
                    before = hocket.current_effective_deadline()
                    task_status.started()
                    deadlines.append((before, hocket.current_effective_deadline()))
                    await asyncio.sleep(3)
                finally:
                    ended.append(now())

            async with hocket.TaskGroup() as group:
                with takes(2), hocket.move_on_after(2) as scope:
                    await group.start(serve, 5)
                assert scope.cancelled_caught
                assert len(ended) == 1
                with takes(1), hocket.move_on_after(2) as scope:
                    await group.start(serve, 1)
                assert deadlines == [(scope.deadline, float("inf"))]
                assert not scope.cancel_called
                began = now()
            assert ended[1] == pytest.approx(began + 3)

        run(main())

    def test_a_caller_that_is_cancelled(self) -> None:
        """By `Task.cancel`: the task is, too, and `start` waits for its end."""

        async def main() -> None:
            ended = []

            async def serve(*, task_status: hocket.TaskStatus) -> None:
                try:
                    await asyncio.sleep(50)
                finally:
                    await asyncio.sleep(2)
                    ended.append(now())

            async with hocket.TaskGroup() as group:
                task = asyncio.create_task(group.start(serve))
                await asyncio.sleep(1)
                task.cancel()
                with takes(2), pytest.raises(asyncio.CancelledError):
                    await task
            assert len(ended) == 1

        run(main())

    def test_the_group_waits_for_it(self) -> None:
        """The group is not over as long as somebody is starting a task in it."""

        async def main() -> None:
            async def serve(*, task_status: hocket.TaskStatus) -> None:
                await asyncio.sleep(2)
                task_status.started()
                await asyncio.sleep(2)

            with takes(4):
                async with hocket.TaskGroup() as group:
                    task = asyncio.create_task(group.start(serve))
                    await asyncio.sleep(0)
            assert task.done()
            await task

        run(main())

    def test_ignored(self) -> None:
        """A function that is also called in other ways has a default."""

        async def main() -> None:
            async def serve(*, task_status: hocket.TaskStatus = hocket.TASK_STATUS_IGNORED) -> str:
                task_status.started("ready")
                return "done"

            async with hocket.TaskGroup() as group:
                assert await group.start(serve) == "ready"
                task = group.start_soon(serve)
            assert task.result() == "done"

        run(main())


class TestStartSoon:
    @pytest.mark.parametrize("way", ["start_soon", "spawn", "start"])
    def test_what_is_no_async_function(self, way: str) -> None:
        """`TypeError`, which says what to do with a coroutine."""

        async def main() -> None:
            async with hocket.TaskGroup() as group:

                async def call(function: Any, *args: Any) -> None:
                    started = getattr(group, way)(function, *args)
                    if way != "start_soon":
                        await started

                coroutine = asyncio.sleep(0)
                with pytest.raises(TypeError, match=r"create_task\(\) takes that"):
                    await call(coroutine)
                coroutine.close()
                with pytest.raises(TypeError, match="returned"):
                    await call(lambda *args, **options: 3)
                with pytest.raises(TypeError, match="an async function was expected, got 3"):
                    await call(3)

        run(main())

    def test_a_name(self) -> None:
        """It is the task's."""

        async def main() -> None:
            async with hocket.TaskGroup() as group:
                assert group.start_soon(asyncio.sleep, 0, name="nap").get_name() == "nap"

        run(main())


class TestLimit:
    def test_spawn_waits_for_room(self) -> None:
        """There are never more tasks than that, and they start in the order of asking."""

        async def main() -> None:
            started: list[int] = []
            most = 0

            async def work(number: int) -> None:
                nonlocal most
                started.append(number)
                most = max(most, len(group._tasks))
                await asyncio.sleep(1)

            with takes(5):
                async with hocket.TaskGroup(limit=4) as group:
                    for number in range(20):
                        await group.spawn(work, number)
            assert started == list(range(20))
            assert most == 4
            statistics = group.statistics()
            assert (statistics.running, statistics.started, statistics.failed, statistics.limit) == (0, 20, 0, 4)
            assert statistics.room is not None
            assert statistics.room.waits == 4

        run(main())

    def test_create_task_does_not_wait(self) -> None:
        """It refuses, and says what waits."""

        async def main() -> None:
            async with hocket.TaskGroup(limit=1) as group:
                group.create_task(asyncio.sleep(1))
                with pytest.raises(RuntimeError, match="waits for room"):
                    group.create_task(asyncio.sleep(1))
                with pytest.raises(RuntimeError, match="waits for room"):
                    group.start_soon(asyncio.sleep, 1)
                await asyncio.sleep(2)
                group.create_task(asyncio.sleep(1))

        run(main())

    def test_cancelled_while_waiting_for_room(self) -> None:
        """Nothing is started, and the place goes to the next; also in the turn in which it was given."""

        async def main() -> None:
            started = []

            async def work(name: str) -> None:
                started.append(name)
                await asyncio.sleep(1)

            async with hocket.TaskGroup(limit=1) as group:
                await group.spawn(work, "first")
                cancelled = asyncio.create_task(group.spawn(work, "cancelled"))
                late = asyncio.create_task(group.spawn(work, "in the same turn"))
                last = asyncio.create_task(group.spawn(work, "last"))
                await asyncio.sleep(0.5)
                cancelled.cancel()

                def room() -> None:
                    # Behind the end of the first task, which gives the place away, and before the one that gets it.
                    late.cancel()

                first = next(iter(group._tasks))
                first.add_done_callback(lambda task: asyncio.get_running_loop().call_soon(room))
                await asyncio.wait([cancelled, late, last])
                assert cancelled.cancelled()
                assert last.done()
                assert not last.cancelled()
            assert started[0] == "first"
            assert started[-1] == "last"
            assert group.statistics().running == 0
            assert group._started == len(started)

        run(main())

    def test_start_waits_for_room_too(self) -> None:
        """A task that fails to start gives its place back."""

        async def main() -> None:
            async def serve(good: bool, *, task_status: hocket.TaskStatus) -> None:
                if not good:
                    raise KeyError
                task_status.started()
                await asyncio.sleep(2)

            async with hocket.TaskGroup(limit=1) as group:
                with pytest.raises(KeyError):
                    await group.start(serve, False)
                await group.start(serve, True)
                with takes(2):
                    await group.start(serve, True)

        run(main())

    @pytest.mark.parametrize(("limit", "error"), [(0, ValueError), (-1, ValueError), ("3", TypeError)])
    def test_what_is_no_limit(self, limit: Any, error: type[Exception]) -> None:
        """Refused where it is given, with what came."""
        with pytest.raises(error, match="an int of 1 or more"):
            hocket.TaskGroup(limit=limit)


class TestJoin:
    def test_first_success(self) -> None:
        """The others are cancelled; failures before it do not matter."""

        async def main() -> None:
            with takes(2):
                async with hocket.TaskGroup(join=hocket.join_first()) as group:
                    group.start_soon(fail, 1, KeyError())
                    group.start_soon(give, 2, "fast")
                    slow = group.start_soon(give, 3, "slow")
            assert group.satisfied
            assert group.results == ["fast"]
            assert [type(error) for error in group.failures] == [KeyError]
            assert slow.cancelled()

        run(main())

    def test_all_fail(self) -> None:
        """Then all that they have raised comes out."""

        async def main() -> None:
            with pytest.raises(ExceptionGroup) as caught:
                async with hocket.TaskGroup(join=hocket.join_first()) as group:
                    group.start_soon(fail, 1, KeyError())
                    group.start_soon(fail, 2, IndexError())
            assert [type(error) for error in caught.value.exceptions] == [KeyError, IndexError]
            assert not group.satisfied

        run(main())

    def test_first_of_several(self) -> None:
        """As many as were asked for, in the order of arrival."""

        async def main() -> None:
            with takes(3):
                async with hocket.TaskGroup(join=hocket.join_first(3)) as group:
                    for delay in (5, 1, 4, 2, 3):
                        group.start_soon(give, delay, delay)
            assert group.results == [1, 2, 3]

        run(main())

    def test_until(self) -> None:
        """A predicate of the results decides."""

        async def main() -> None:
            with takes(3):
                async with hocket.TaskGroup(join=hocket.join_until(lambda result: result > 2)) as group:
                    for delay in (5, 1, 4, 2, 3):
                        group.start_soon(give, delay, delay)
            assert group.results == [1, 2, 3]
            with takes(2):
                async with hocket.TaskGroup(join=hocket.join_until(lambda result: False)) as group:
                    group.start_soon(give, 2, "never")
            assert not group.satisfied

        run(main())

    def test_a_predicate_that_fails(self) -> None:
        """Its error ends the group."""

        async def main() -> None:
            with takes(1), pytest.raises(ExceptionGroup) as caught:
                async with hocket.TaskGroup(join=hocket.join_until(lambda result: result[0])) as group:
                    group.start_soon(give, 1, ())
                    group.start_soon(give, 50, ())
            assert [type(error) for error in caught.value.exceptions] == [IndexError]

        run(main())

    def test_partial_results_on_a_deadline(self) -> None:
        """What there is by then is kept, and failures are not raised."""

        async def main() -> None:
            with takes(2.5), hocket.move_on_after(2.5) as scope:
                async with hocket.TaskGroup(join=hocket.join_all()) as group:
                    for delay in (1, 2, 3, 4):
                        group.start_soon(give, delay, delay)
            assert scope.cancelled_caught
            assert group.results == [1, 2]
            async with hocket.TaskGroup(join=hocket.join_first(3)) as group:
                group.cancel_scope.deadline = now() + 2.5
                group.start_soon(fail, 1, KeyError())
                for delay in (1, 2, 3, 4):
                    group.start_soon(give, delay, delay)
            assert group.results == [1, 2]
            assert len(group.failures) == 1
            assert not group.satisfied

        run(main())

    def test_all_fails_as_ever(self) -> None:
        """`join_all` changes nothing but that the results are kept."""

        async def main() -> None:
            with takes(1), pytest.raises(ExceptionGroup):
                async with hocket.TaskGroup(join=hocket.join_all()) as group:
                    group.start_soon(fail, 1, KeyError())
                    group.start_soon(give, 2, 2)

        run(main())

    def test_without_join_nothing_is_kept(self) -> None:
        """A group that lives for long must not grow."""

        async def main() -> None:
            async with hocket.TaskGroup() as group:
                for name in ("results", "failures"):
                    with pytest.raises(RuntimeError, match=f"keeps no {name}"):
                        getattr(group, name)

        run(main())

    def test_what_is_no_policy(self) -> None:
        """Refused early, with what came."""
        with pytest.raises(TypeError, match="join is what join_all"):
            hocket.TaskGroup(join="all")  # type: ignore[arg-type]
        for wrong, error in ((0, ValueError), (-1, ValueError), ("1", TypeError), (True, TypeError)):
            with pytest.raises(error, match="an int of 1 or more"):
                hocket.join_first(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="takes a function"):
            hocket.join_until(3)  # type: ignore[arg-type]


class TestSurviving:
    def test_the_others_go_on(self) -> None:
        """The handler is told of the task and of its exception."""

        async def main() -> None:
            told = []
            async with hocket.TaskGroup(on_failure=lambda task, error: told.append((task, error))) as group:
                failing = group.start_soon(fail, 1, KeyError())
                going = group.start_soon(give, 2, "fine")
            assert going.result() == "fine"
            assert [(task, type(error)) for task, error in told] == [(failing, KeyError)]
            assert group.statistics().failed == 1

        run(main())

    def test_a_handler_may_start_another(self) -> None:
        """Also when the one that failed was the last, while the group waits."""

        async def main() -> None:
            attempts = 0

            async def work() -> None:
                nonlocal attempts
                attempts += 1
                await asyncio.sleep(1)
                if attempts < 4:
                    raise OSError

            with takes(4):
                async with hocket.TaskGroup(on_failure=lambda task, error: group.start_soon(work)) as group:
                    group.start_soon(work)
            assert attempts == 4

        run(main())

    def test_a_handler_that_raises(self) -> None:
        """Then the group ends, as if the task had raised that."""

        async def main() -> None:
            def refuse(task: Any, error: Exception) -> None:
                raise IndexError from error

            with takes(1), pytest.raises(ExceptionGroup) as caught:
                async with hocket.TaskGroup(on_failure=refuse) as group:
                    group.start_soon(fail, 1, KeyError())
                    group.start_soon(give, 50, None)
            assert [type(error) for error in caught.value.exceptions] == [IndexError]

        run(main())

    def test_report_failure(self) -> None:
        """It tells the loop's exception handler."""

        async def main() -> None:
            reported: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
            async with hocket.TaskGroup(on_failure=hocket.report_failure) as group:
                group.start_soon(fail, 1, KeyError())
            assert [type(context["exception"]) for context in reported] == [KeyError]
            assert "has failed" in reported[0]["message"]

        run(main())

    def test_what_cannot_be_called(self) -> None:
        """Refused early."""
        with pytest.raises(TypeError, match="on_failure is to be called"):
            hocket.TaskGroup(on_failure=True)  # type: ignore[arg-type]
