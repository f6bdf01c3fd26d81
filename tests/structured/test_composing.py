"""Scopes together with what asyncio and anyio cancel: everybody gets back what is his, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import hocket
from tests.structured.test_scopes import now, takes
from tests.virtual import run


def cancelling() -> int:
    task: Any = asyncio.current_task()
    return int(task.cancelling())


TIMEOUTS = pytest.mark.parametrize("timeout", [asyncio.timeout, hocket.timeout])


class TestTimeout:
    @TIMEOUTS
    def test_the_scope_is_first(self, timeout: Any) -> None:
        """The timeout lets its cancellation pass, inside of the scope and around it."""

        async def main() -> None:
            with takes(1), hocket.move_on_after(1) as scope:
                async with timeout(2):
                    await asyncio.sleep(5)
            assert scope.cancelled_caught
            with takes(1):
                async with timeout(2):
                    with hocket.move_on_after(1) as scope:
                        await asyncio.sleep(5)
                    assert scope.cancelled_caught
            assert cancelling() == 0
            await asyncio.sleep(5)

        run(main())

    @TIMEOUTS
    def test_the_timeout_is_first(self, timeout: Any) -> None:
        """The scope lets its cancellation pass."""

        async def main() -> None:
            with hocket.move_on_after(2) as scope:
                with takes(1), pytest.raises(TimeoutError):
                    async with timeout(1):
                        await asyncio.sleep(5)
            assert not scope.cancel_called
            with takes(1), pytest.raises(TimeoutError):
                async with timeout(1):
                    with hocket.move_on_after(2) as scope:
                        await asyncio.sleep(5)
            assert not scope.cancel_called
            assert cancelling() == 0
            await asyncio.sleep(5)

        run(main())

    @TIMEOUTS
    def test_both_at_once(self, timeout: Any) -> None:
        """The one around the other says what happened, and nothing is left of either."""

        async def main() -> None:
            for order in (0, 1):
                with takes(1), pytest.raises(TimeoutError):
                    async with timeout(1 + order * 1e-10):
                        with hocket.move_on_after(1 + (1 - order) * 1e-10):
                            await asyncio.sleep(5)
                        await asyncio.sleep(5)
                with takes(1), hocket.move_on_after(1) as scope:
                    try:
                        async with timeout(1):
                            await asyncio.sleep(5)
                    except TimeoutError:
                        pass
                    await asyncio.sleep(5)
                assert scope.cancelled_caught
                assert cancelling() == 0
                await asyncio.sleep(5)

        run(main())

    @TIMEOUTS
    def test_a_timeout_while_cleaning_up(self, timeout: Any) -> None:
        """A shield does not keep out asyncio's cancellations: inside of it a timeout works as ever."""

        async def main() -> None:
            with takes(1 + 2), hocket.move_on_after(1) as scope:
                try:
                    await asyncio.sleep(5)
                finally:
                    with hocket.CancelScope(shield=True), pytest.raises(TimeoutError):
                        async with timeout(2):
                            await asyncio.sleep(5)
            assert scope.cancelled_caught
            assert cancelling() == 0

        run(main())


class TestTaskCancel:
    def test_it_passes_through_scopes(self) -> None:
        """Also through a shield, which keeps out scopes only."""

        async def main() -> None:
            scopes = [hocket.CancelScope(), hocket.CancelScope(shield=True), hocket.CancelScope()]

            async def work() -> None:
                with scopes[0], scopes[1], scopes[2]:
                    await asyncio.sleep(5)

            task = asyncio.create_task(work())
            await asyncio.sleep(1)
            task.cancel("enough")
            with takes(0), pytest.raises(asyncio.CancelledError, match="enough") as caught:
                await task
            assert not hocket.why_cancelled(caught.value)
            assert not any(scope.cancel_called for scope in scopes)

        run(main())

    @pytest.mark.parametrize("first", ["task", "scope"])
    @pytest.mark.parametrize("waits", [True, False])
    def test_both_in_one_turn(self, first: str, waits: bool) -> None:
        """The task is cancelled, whichever came first, and whether it was waiting or ready: that is never lost."""

        async def main() -> None:
            scope = hocket.CancelScope()
            behind = False

            async def work() -> None:
                nonlocal behind
                with scope:
                    if waits:
                        await asyncio.sleep(5)
                    while True:
                        await asyncio.sleep(0)
                behind = True
                await asyncio.sleep(0)
                raise AssertionError

            task = asyncio.create_task(work())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if first == "task":
                task.cancel()
                scope.cancel()
            else:
                scope.cancel()
                task.cancel()
            with takes(0), pytest.raises(asyncio.CancelledError):
                await task
            assert not behind
            assert task.cancelled()

        run(main())

    def test_while_the_other_is_being_handled(self) -> None:
        """Cancelled in a shielded clean-up: the scope has caught nothing, the task is cancelled."""

        async def main() -> None:
            async def work() -> None:
                with hocket.move_on_after(1):
                    try:
                        await asyncio.sleep(5)
                    finally:
                        with hocket.CancelScope(shield=True):
                            await asyncio.sleep(5)
                raise AssertionError

            task = asyncio.create_task(work())
            await asyncio.sleep(2)
            task.cancel()
            with takes(0), pytest.raises(asyncio.CancelledError):
                await task

            async def awkward() -> None:
                with hocket.move_on_after(1):
                    try:
                        await asyncio.sleep(5)
                    finally:
                        try:
                            with hocket.CancelScope(shield=True):
                                await asyncio.sleep(5)
                        finally:
                            await asyncio.sleep(5)  # Raises for the scope, in place of the other.
                raise AssertionError

            task = asyncio.create_task(awkward())
            await asyncio.sleep(2)
            task.cancel()
            with takes(0), pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert not hocket.why_cancelled(caught.value)

        run(main())

    def test_before_the_scope_was_entered(self) -> None:
        """A request that was pending then is not the scope's, although it arrives inside."""

        async def main() -> None:
            async def work() -> None:
                current: Any = asyncio.current_task()
                current.cancel()
                with hocket.CancelScope() as scope:
                    scope.cancel()
                    await asyncio.sleep(0)
                raise AssertionError

            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(work())

        run(main())

    def test_one_that_was_refused_long_ago(self) -> None:
        """A task that went on in spite of a request can use scopes."""

        async def main() -> None:
            async def work() -> str:
                try:
                    await asyncio.sleep(5)
                except asyncio.CancelledError:
                    pass
                with hocket.move_on_after(1) as scope:
                    await asyncio.sleep(5)
                assert scope.cancelled_caught
                return "done"

            task = asyncio.create_task(work())
            await asyncio.sleep(1)
            task.cancel()
            assert await task == "done"
            assert task.cancelling() == 1

        run(main())

    def test_when_a_new_one_is_raised_instead(self) -> None:
        """A plain `CancelledError` that some library makes of the scope's is the scope's still."""

        async def main() -> None:
            with hocket.move_on_after(1) as scope:
                try:
                    await asyncio.sleep(5)
                except asyncio.CancelledError:
                    raise asyncio.CancelledError from None
            assert scope.cancelled_caught

        run(main())


class TestAsyncio:
    @pytest.mark.parametrize("group", [asyncio.TaskGroup, hocket.TaskGroup])
    def test_task_groups(self, group: Any) -> None:
        """Their tasks end before the scope catches, those of asyncio's groups by `Task.cancel`."""

        async def main() -> None:
            with takes(1), hocket.move_on_after(1) as scope:
                async with group() as tasks:
                    task = tasks.create_task(asyncio.sleep(50))
                    tasks.create_task(asyncio.sleep(0))
            assert task.cancelled()
            assert scope.cancelled_caught
            assert cancelling() == 0

        run(main())

    def test_a_group_of_asyncio_that_ends_slowly(self) -> None:
        """The loop in which it waits costs little although every wait is interrupted."""

        async def main() -> None:
            loop: Any = asyncio.get_running_loop()

            async def slow_to_end() -> None:
                try:
                    await asyncio.sleep(50)
                finally:
                    await asyncio.sleep(10)

            before = loop.statistics().turns
            with takes(11), hocket.move_on_after(1):
                async with asyncio.TaskGroup() as group:
                    group.create_task(slow_to_end())
            assert loop.statistics().turns - before < 1000

        run(main())

    def test_a_failure_in_a_scope_in_a_group(self) -> None:
        """The group cancels its block by `Task.cancel`, through the scope, and takes it back."""

        async def main() -> None:
            async def fail() -> None:
                await asyncio.sleep(1)
                raise KeyError

            for group in (asyncio.TaskGroup, hocket.TaskGroup):
                with takes(1), pytest.raises(ExceptionGroup):
                    async with group() as tasks:
                        tasks.create_task(fail())
                        with hocket.move_on_after(5) as scope:
                            await asyncio.sleep(50)
                assert not scope.cancel_called
                assert cancelling() == 0

        run(main())

    @pytest.mark.parametrize("wait_for", [asyncio.wait_for, hocket.wait_for])
    def test_wait_for(self, wait_for: Any) -> None:
        """What is waited for is cancelled, and the scope catches; a time limit of its own works as ever."""

        async def main() -> None:
            ended = []

            async def work() -> None:
                try:
                    await asyncio.sleep(50)
                finally:
                    ended.append(now())

            with takes(1), hocket.move_on_after(1) as scope:
                await wait_for(work(), 5)
            assert scope.cancelled_caught
            with takes(1), hocket.move_on_after(5) as scope, pytest.raises(TimeoutError):
                await wait_for(work(), 1)
            assert not scope.cancel_called
            await asyncio.sleep(0)
            assert len(ended) == 2

        run(main())

    @pytest.mark.parametrize("shield", [asyncio.shield, hocket.shield])
    def test_shield(self, shield: Any) -> None:
        """What it shields goes on, and who waits does not."""

        async def main() -> None:
            task = asyncio.create_task(asyncio.sleep(5, "done"))
            with takes(1), hocket.move_on_after(1) as scope:
                await shield(task)
            assert scope.cancelled_caught
            with takes(4):
                assert await task == "done"

        run(main())

    @pytest.mark.parametrize("gather", [asyncio.gather, hocket.gather])
    def test_gather(self, gather: Any) -> None:
        """All that it waits for is cancelled."""

        async def main() -> None:
            tasks = [asyncio.create_task(asyncio.sleep(5)) for _ in range(3)]
            with takes(1), hocket.move_on_after(1) as scope:
                await gather(*tasks)
            assert scope.cancelled_caught
            assert all(task.cancelled() for task in tasks)

        run(main())

    def test_a_future_that_somebody_cancels(self) -> None:
        """That is no cancellation of the task: nothing is caught."""

        async def main() -> None:
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(1, future.cancel)
            with pytest.raises(asyncio.CancelledError), hocket.CancelScope() as scope:
                await future
            assert not scope.cancelled_caught

        run(main())

    def test_asyncios_own_futures(self) -> None:
        """What is not of hocket's classes is interrupted, and its result is not lost."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            future: Any = asyncio.Future(loop=loop)
            with takes(1), hocket.move_on_after(1) as scope:
                await future
            assert scope.cancelled_caught
            future = asyncio.Future(loop=loop)
            got = None

            def finish() -> None:
                future.set_result("here")
                scope.cancel()

            with hocket.CancelScope() as scope:
                loop.call_later(1, finish)
                got = await future
            assert got == "here"

        run(main())


class TestAnyio:
    def test_scopes_in_each_other(self) -> None:
        """Each catches what is its own."""
        anyio: Any = pytest.importorskip("anyio", reason="anyio is not installed")

        async def main() -> None:
            with takes(1), hocket.move_on_after(1) as ours, anyio.move_on_after(2) as theirs:
                await asyncio.sleep(5)
            assert ours.cancelled_caught
            assert not theirs.cancelled_caught
            with takes(1), hocket.move_on_after(2) as ours:
                with anyio.move_on_after(1) as theirs:
                    await asyncio.sleep(5)
            assert theirs.cancelled_caught
            assert not ours.cancel_called
            with takes(1), anyio.move_on_after(2) as theirs:
                with hocket.move_on_after(1) as ours:
                    await asyncio.sleep(5)
            assert ours.cancelled_caught
            assert not theirs.cancelled_caught
            with takes(1), anyio.move_on_after(1) as theirs, hocket.move_on_after(2) as ours:
                await asyncio.sleep(5)
            assert theirs.cancelled_caught
            assert not ours.cancel_called
            assert cancelling() == 0
            await asyncio.sleep(5)

        run(main())

    def test_task_groups_in_each_other(self) -> None:
        """Ours in theirs and theirs in ours end when the outer one does."""
        anyio: Any = pytest.importorskip("anyio", reason="anyio is not installed")

        async def main() -> None:
            with takes(1), hocket.move_on_after(1) as ours:
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep, 50)
                    async with hocket.TaskGroup() as inner:
                        task = inner.start_soon(anyio.sleep, 50)
            assert task.cancelled()
            assert ours.cancelled_caught
            with takes(1):
                async with anyio.create_task_group() as group:
                    with hocket.CancelScope() as ours:
                        async with hocket.TaskGroup() as inner:
                            task = inner.start_soon(anyio.sleep, 50)
                            asyncio.get_running_loop().call_later(1, group.cancel_scope.cancel)
                            await anyio.sleep(50)
            assert task.cancelled()
            assert not ours.cancel_called
            assert cancelling() == 0

        run(main())

    def test_start(self) -> None:
        """`TaskGroup.start` and anyio's take the same functions."""
        anyio: Any = pytest.importorskip("anyio", reason="anyio is not installed")

        async def serve(*, task_status: Any = anyio.TASK_STATUS_IGNORED) -> None:
            await anyio.sleep(1)
            task_status.started("ready")
            await anyio.sleep(50)

        async def main() -> None:
            async with hocket.TaskGroup() as group:
                assert await group.start(serve) == "ready"
                group.cancel()
            async with anyio.create_task_group() as group:
                assert await group.start(serve) == "ready"
                group.cancel_scope.cancel()

        run(main())
