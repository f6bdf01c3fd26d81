"""`CancelScope`, `fail_after` and their like: trio's semantics, on tasks that are asyncio's as well."""

from __future__ import annotations

import asyncio
import math
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import hocket
from tests.virtual import run


def now() -> float:
    return asyncio.get_running_loop().time()


@contextmanager
def takes(seconds: float) -> Iterator[None]:
    began = now()
    yield
    assert now() - began == pytest.approx(seconds)


class TestTimeLimits:
    def test_move_on_after_goes_on_behind_the_block(self) -> None:
        """The block is cancelled when its time is over, and the scope says so."""

        async def main() -> None:
            with takes(2), hocket.move_on_after(2) as scope:
                await asyncio.sleep(5)
            assert scope.cancel_called
            assert scope.cancelled_caught

        run(main())

    def test_a_block_that_is_over_in_time_is_not_touched(self) -> None:
        """No trace of the limit is left, not even a timer."""

        async def main() -> None:
            with takes(1), hocket.move_on_after(2) as scope:
                await asyncio.sleep(1)
            assert not scope.cancel_called
            assert not scope.cancelled_caught
            assert len(asyncio.get_running_loop()._scheduled) == 0
            await asyncio.sleep(5)

        run(main())

    def test_fail_after_raises(self) -> None:
        """The builtin `TimeoutError` says how long it was given, and comes from the cancellation."""

        async def main() -> None:
            with takes(0.5), pytest.raises(TimeoutError, match=r"not done within 0\.5 seconds") as caught:
                with hocket.fail_after(0.5) as scope:
                    await asyncio.sleep(5)
            assert hocket.why_cancelled(caught.value.__cause__) == (scope, None, "deadline")
            assert scope.cancelled_caught

        run(main())

    def test_fail_after_does_not_raise_for_an_explicit_cancel(self) -> None:
        """Who cancels the scope has not waited too long."""

        async def main() -> None:
            with hocket.fail_after(5) as scope:
                scope.cancel()
                await asyncio.sleep(1)
            assert scope.cancelled_caught

        run(main())

    def test_fail_after_does_not_raise_if_nothing_was_cancelled(self) -> None:
        """A block that ends without suspending once more after its deadline has its result."""

        async def main() -> None:
            loop: Any = asyncio.get_running_loop()
            with hocket.fail_after(1) as scope:
                loop._driver.advance(2)
            assert scope.cancelled_caught is False

        run(main())

    def test_at(self) -> None:
        """`move_on_at` and `fail_at` take the loop's time."""

        async def main() -> None:
            with takes(3), hocket.move_on_at(now() + 3) as scope:
                await asyncio.sleep(5)
            assert scope.cancelled_caught
            with takes(3), pytest.raises(TimeoutError, match="the deadline has passed"), hocket.fail_at(now() + 3):
                await asyncio.sleep(5)

        run(main())

    @pytest.mark.parametrize("make", [hocket.move_on_after, hocket.fail_after, hocket.move_on_at, hocket.fail_at])
    def test_no_limit(self, make: Any) -> None:
        """None and infinity mean that there is none, until one is set."""

        async def main() -> None:
            for none in (None, math.inf):
                with make(none) as scope:
                    assert scope.deadline == math.inf
                    await asyncio.sleep(5)
            with hocket.move_on_after(None) as scope, takes(1):
                scope.deadline = now() + 1
                await asyncio.sleep(5)

        run(main())

    @pytest.mark.parametrize("seconds", [0, -1, -math.inf])
    def test_no_time_at_all(self, seconds: float) -> None:
        """The block begins, and is cancelled at its first suspension."""

        async def main() -> None:
            began = False
            with takes(0), hocket.move_on_after(seconds) as scope:
                began = True
                await asyncio.sleep(0)
                raise AssertionError
            assert began
            assert scope.cancelled_caught

        run(main())

    @pytest.mark.parametrize("wrong", ["1", b"", [], True])
    @pytest.mark.parametrize("make", [hocket.move_on_after, hocket.fail_after, hocket.move_on_at, hocket.fail_at])
    def test_what_is_no_number_is_refused(self, make: Any, wrong: Any) -> None:
        """`TypeError` names what came."""

        async def main() -> None:
            with pytest.raises(TypeError, match="got"):
                make(wrong)
            with pytest.raises(ValueError, match="nan"):
                make(math.nan)

        run(main())

    def test_outside_of_a_loop(self) -> None:
        """A number of seconds means nothing where no loop runs."""
        with pytest.raises(RuntimeError, match="no running event loop"):
            hocket.move_on_after(1)
        with pytest.raises(RuntimeError, match="no running event loop"):
            hocket.current_effective_deadline()
        with pytest.raises(RuntimeError, match="while an event loop runs"), hocket.CancelScope():
            pass

    def test_the_deadline_moves(self) -> None:
        """Later, earlier, and gone."""

        async def main() -> None:
            with takes(3), hocket.move_on_after(1) as scope:
                scope.deadline += 2
                await asyncio.sleep(5)
            assert scope.cancelled_caught
            with takes(1), hocket.move_on_after(3) as scope:
                scope.deadline -= 2
                await asyncio.sleep(5)
            assert scope.cancelled_caught
            with takes(5), hocket.move_on_after(3) as scope:
                scope.deadline = math.inf
                await asyncio.sleep(5)
            assert not scope.cancelled_caught
            with takes(0), hocket.move_on_after(3) as scope:
                scope.deadline = now() - 1
                await asyncio.sleep(5)
            assert scope.cancelled_caught

        run(main())

    def test_a_deadline_that_has_passed_is_seen_without_suspending(self) -> None:
        """Code that computes can look at ``cancel_called``."""

        async def main() -> None:
            loop: Any = asyncio.get_running_loop()
            steps = 0
            with hocket.move_on_after(1) as scope:
                while not scope.cancel_called:
                    steps += 1
                    loop._driver.advance(0.25)
            assert steps == 4

        run(main())


class TestLevel:
    def test_every_suspension_raises(self) -> None:
        """As long as the block has not been left, whatever the task awaits."""

        async def main() -> None:
            raised = 0
            with hocket.CancelScope() as scope:
                scope.cancel()
                for wait in (
                    lambda: asyncio.sleep(0),
                    lambda: asyncio.sleep(5),
                    lambda: hocket.sleep(5),
                    lambda: asyncio.get_running_loop().create_future(),
                    lambda: asyncio.Event().wait(),
                    lambda: hocket.Queue().get(),
                    hocket.checkpoint,
                ):
                    with takes(0), pytest.raises(asyncio.CancelledError):
                        await wait()
                    raised += 1
            assert raised == 7
            assert not scope.cancelled_caught
            await asyncio.sleep(1)

        run(main())

    def test_what_does_not_suspend_does_not_raise(self) -> None:
        """The level is felt where the task would have to wait."""

        async def nothing() -> int:
            return 3

        async def main() -> None:
            with hocket.CancelScope() as scope:
                scope.cancel()
                assert await nothing() == 3
                async with hocket.Lock():
                    pass

        run(main())

    def test_in_finally(self) -> None:
        """To await while cleaning up raises at once: the first cancellation is the context of the second."""

        async def main() -> None:
            with takes(1), hocket.move_on_after(1) as scope:
                try:
                    await asyncio.sleep(5)
                finally:
                    with pytest.raises(asyncio.CancelledError) as caught:
                        await asyncio.sleep(5)
                    assert hocket.why_cancelled(caught.value.__context__)
            assert scope.cancelled_caught

        run(main())

    def test_a_grace_period(self) -> None:
        """A shielded clean-up may wait, until its own deadline."""

        async def main() -> None:
            cleaned = []
            with takes(1 + 2 + 3), hocket.move_on_after(1) as scope:
                try:
                    await asyncio.sleep(50)
                finally:
                    with hocket.move_on_after(4, shield=True) as grace:
                        await asyncio.sleep(2)
                        cleaned.append("quickly")
                    assert not grace.cancelled_caught
                    with hocket.move_on_after(3, shield=True) as grace:
                        await asyncio.sleep(50)
                        cleaned.append("too slowly")
                    assert grace.cancelled_caught
            assert scope.cancelled_caught
            assert cleaned == ["quickly"]

        run(main())

    def test_a_shield_can_be_raised_and_lowered(self) -> None:
        """Lowered, it lets the cancellation in at once; also to a task that waits."""

        async def main() -> None:
            with takes(2), hocket.move_on_after(1) as scope:
                with hocket.CancelScope(shield=True) as inner:
                    asyncio.get_running_loop().call_later(2, lambda: setattr(inner, "shield", False))
                    await asyncio.sleep(50)
            assert scope.cancelled_caught
            assert not inner.cancel_called
            with hocket.CancelScope() as scope:
                scope.cancel()
                with hocket.CancelScope() as inner:
                    inner.shield = True
                    await asyncio.sleep(1)
                    inner.shield = False
                    with pytest.raises(asyncio.CancelledError):
                        await asyncio.sleep(1)
                    inner.shield = True
                    await asyncio.sleep(1)

        run(main())

    def test_a_shield_does_not_stop_its_own_scope(self) -> None:
        """It keeps out what is cancelled around it, nothing else."""

        async def main() -> None:
            with takes(0), hocket.CancelScope(shield=True) as scope:
                scope.cancel()
                await asyncio.sleep(5)
            assert scope.cancelled_caught

        run(main())

    def test_cancelled_before_it_is_entered(self) -> None:
        """The block is cancelled at its first suspension."""

        async def main() -> None:
            scope = hocket.CancelScope()
            scope.cancel("too late")
            with takes(0), scope:
                await asyncio.sleep(5)
            assert scope.cancelled_caught
            assert scope.reason == "too late"

        run(main())

    def test_who_swallows_every_cancellation_costs_nothing(self) -> None:
        """Such a task gets it ever later: five seconds bring few deliveries, the next ones every 0.1 seconds."""

        async def main(pause: float) -> None:
            loop: Any = asyncio.get_running_loop()
            swallowed = 0
            with hocket.CancelScope() as scope:
                scope.cancel()
                end = now() + 5
                before = loop.statistics().turns
                while now() < end:
                    try:
                        await asyncio.sleep(pause)
                    except asyncio.CancelledError:
                        swallowed += 1
                assert 100 <= swallowed <= 200
                assert loop.statistics().turns - before < 500
            # Outside it waits as ever, and within the next one it is told at once.
            with takes(5):
                await asyncio.sleep(5)
            with takes(0), hocket.move_on_after(0) as scope:
                await asyncio.sleep(5)
            assert scope.cancelled_caught

        run(main(50.0))
        run(main(0))

    def test_who_is_held_back_can_be_cancelled_and_ends(self) -> None:
        """Also a task that is slowed down feels `Task.cancel` at once."""

        async def refuse() -> None:
            with hocket.CancelScope() as scope:
                scope.cancel()
                while True:
                    try:
                        await asyncio.sleep(0)
                    except asyncio.CancelledError as error:
                        if not hocket.why_cancelled(error):
                            raise

        async def main() -> None:
            task = asyncio.create_task(refuse())
            await asyncio.sleep(3.03)
            with takes(0), pytest.raises(asyncio.CancelledError):
                task.cancel()
                await task

        run(main())


class TestWhoCatches:
    def test_the_outermost_cancelled_one(self) -> None:
        """The inner one lets pass what the outer one has to stop."""

        async def main() -> None:
            with hocket.CancelScope() as outer:
                with hocket.CancelScope() as inner:
                    inner.cancel()
                    outer.cancel()
                    await asyncio.sleep(5)
                raise AssertionError
            assert outer.cancelled_caught
            assert not inner.cancelled_caught

        run(main())

    def test_the_outer_one_goes_on_when_the_inner_one_was_cancelled(self) -> None:
        """Behind the inner block nothing is cancelled."""

        async def main() -> None:
            with takes(1), hocket.CancelScope() as outer:
                with hocket.CancelScope() as inner:
                    inner.cancel()
                    await asyncio.sleep(5)
                await asyncio.sleep(1)
            assert inner.cancelled_caught
            assert not outer.cancel_called

        run(main())

    def test_a_shield_catches_although_the_outer_one_is_cancelled(self) -> None:
        """What is behind a shield does not feel the outer one; behind the block it does."""

        async def main() -> None:
            with hocket.CancelScope() as outer:
                outer.cancel()
                with hocket.CancelScope(shield=True) as inner:
                    inner.cancel()
                    await asyncio.sleep(5)
                assert inner.cancelled_caught
                await asyncio.sleep(5)
                raise AssertionError
            assert outer.cancelled_caught

        run(main())

    def test_an_error_is_not_a_cancellation(self) -> None:
        """What the block raises instead comes through."""

        async def main() -> None:
            with pytest.raises(KeyError), hocket.CancelScope() as scope:
                scope.cancel()
                try:
                    await asyncio.sleep(5)
                except asyncio.CancelledError:
                    raise KeyError from None
            assert not scope.cancelled_caught

        run(main())

    def test_out_of_a_group_of_exceptions(self) -> None:
        """The scope takes its cancellations out, and the rest stays a group."""

        async def main() -> None:
            async def block(*others: BaseException) -> None:
                try:
                    await asyncio.sleep(5)
                except asyncio.CancelledError as error:
                    raise BaseExceptionGroup("both", [error, *others]) from None

            with hocket.CancelScope() as scope:
                scope.cancel()
                await block()
            assert scope.cancelled_caught
            with pytest.raises(ExceptionGroup) as caught, hocket.CancelScope() as scope:
                scope.cancel()
                await block(KeyError())
            assert [type(error) for error in caught.value.exceptions] == [KeyError]
            assert scope.cancelled_caught

        run(main())

    def test_reason_and_canceller(self) -> None:
        """The exception says who has cancelled, why, and which scope it belongs to."""

        async def main() -> None:
            async def cancel(scope: hocket.CancelScope) -> None:
                scope.cancel("the client has gone")
                scope.cancel("too late to give another reason")

            with hocket.CancelScope() as scope:
                task = asyncio.create_task(cancel(scope), name="watcher")
                with pytest.raises(asyncio.CancelledError, match="cancelled by watcher: the client has gone") as caught:
                    await asyncio.sleep(5)
            # Of no class of its own, which asyncio would not recognise.
            assert type(caught.value) is asyncio.CancelledError
            assert hocket.why_cancelled(caught.value) == (scope, "the client has gone", "watcher")
            copy = pickle.loads(pickle.dumps(caught.value))
            assert hocket.why_cancelled(copy) == (None, "the client has gone", "watcher")
            assert hocket.why_cancelled(asyncio.CancelledError("of somebody else")) is None
            assert hocket.why_cancelled(KeyError()) is hocket.why_cancelled(None) is None
            await task
            assert (scope.reason, scope.canceller) == ("the client has gone", "watcher")
            with hocket.move_on_after(0) as scope:
                with pytest.raises(asyncio.CancelledError, match="cancelled by deadline"):
                    await asyncio.sleep(5)
            assert scope.canceller == "deadline"

        run(main())


class TestNothingIsLost:
    def test_a_result_in_the_same_turn(self) -> None:
        """What had arrived when the scope was cancelled is delivered, and the next suspension raises."""

        async def main() -> None:
            future: Any = asyncio.get_running_loop().create_future()

            async def finish(scope: hocket.CancelScope) -> None:
                future.set_result("here")
                scope.cancel()

            got = None
            with hocket.CancelScope() as scope:
                task = asyncio.create_task(finish(scope))
                got = await future
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.sleep(0)
            assert got == "here"
            await task

        run(main())

    @pytest.mark.parametrize("queue", [asyncio.Queue, hocket.Queue])
    def test_an_item_of_a_queue(self, queue: Any) -> None:
        """It is either taken or still there."""

        async def main() -> None:
            items = queue()

            async def put(scope: hocket.CancelScope) -> None:
                items.put_nowait("item")
                scope.cancel()

            got = []
            with hocket.CancelScope() as scope:
                task = asyncio.create_task(put(scope))
                got.append(await items.get())
            await task
            assert got + [items.get_nowait() for _ in range(items.qsize())] == ["item"]

        run(main())

    @pytest.mark.parametrize("lock", [asyncio.Lock, hocket.Lock, asyncio.Semaphore, hocket.Semaphore])
    def test_while_acquiring(self, lock: Any) -> None:
        """Who is cancelled in the queue does not have the lock, and the next one gets it."""

        async def main() -> None:
            free = lock()
            await free.acquire()

            async def limited() -> bool:
                with hocket.move_on_after(1) as scope:
                    async with free:
                        raise AssertionError
                return scope.cancelled_caught

            async def patient() -> float:
                async with free:
                    return now()

            first, second = asyncio.create_task(limited()), asyncio.create_task(patient())
            began = now()
            await asyncio.sleep(2)
            assert first.done()
            free.release()
            assert await first
            assert await second == pytest.approx(began + 2)
            assert not free.locked()

        run(main())

    @pytest.mark.parametrize("condition", [asyncio.Condition, hocket.Condition])
    def test_in_a_condition(self, condition: Any) -> None:
        """The lock is held again when the cancellation comes out, however long that takes."""

        async def main() -> None:
            changed = condition()

            async def hold() -> None:
                async with changed:
                    await asyncio.sleep(3)

            with hocket.move_on_after(1) as scope:
                async with changed:
                    asyncio.create_task(hold())
                    try:
                        await changed.wait()
                    finally:
                        assert changed.locked()
            assert scope.cancelled_caught
            assert not changed.locked()

        run(main())

    def test_in_an_asynchronous_generator(self) -> None:
        """It is cancelled where it waits, cleans up, and can be closed within the cancelled scope."""

        async def main() -> None:
            seen = []

            async def numbers() -> Any:
                try:
                    for number in range(10):
                        await asyncio.sleep(1)
                        yield number
                finally:
                    seen.append("closed")

            with takes(2.5), hocket.move_on_after(2.5) as scope:
                async for number in numbers():
                    seen.append(number)
            assert seen == [0, 1, "closed"]
            assert scope.cancelled_caught

            generator = numbers()
            with hocket.CancelScope() as scope:
                await anext(generator)
                scope.cancel()
                await generator.aclose()
            assert not scope.cancelled_caught

        run(main())

    def test_a_task_that_is_awaited_is_cancelled_once(self) -> None:
        """It is not inside: it gets one request, as from `Task.cancel`, and may clean up in peace."""

        async def main() -> None:
            told = []

            async def other() -> str:
                try:
                    await asyncio.sleep(50)
                except asyncio.CancelledError:
                    told.append(type(asyncio.CancelledError()))
                    await asyncio.sleep(3)
                    return "done all the same"
                raise AssertionError

            task = asyncio.create_task(other())
            result = None
            with takes(1 + 3), hocket.move_on_after(1) as scope:
                result = await task
                await asyncio.sleep(0)
            assert result == "done all the same"
            assert len(told) == 1
            assert task.cancelling() == 1
            assert scope.cancelled_caught

        run(main())


class TestDeadlines:
    def test_the_effective_one_is_the_earliest(self) -> None:
        """Of all scopes around the task, up to the first shield."""

        async def main() -> None:
            assert hocket.current_effective_deadline() == math.inf
            with hocket.move_on_after(10) as outer:
                assert hocket.current_effective_deadline() == outer.deadline
                with hocket.move_on_after(20):
                    assert hocket.current_effective_deadline() == outer.deadline
                    with hocket.move_on_after(5) as inner:
                        assert hocket.current_effective_deadline() == inner.deadline
                        with hocket.CancelScope(shield=True):
                            assert hocket.current_effective_deadline() == math.inf
                        inner.cancel()
                        assert hocket.current_effective_deadline() == -math.inf
                    assert hocket.current_effective_deadline() == outer.deadline
            assert hocket.current_effective_deadline() == math.inf

        run(main())

    def test_a_bare_task_is_told_of_it(self) -> None:
        """It is not inside of the scopes of whoever made it, but it knows their deadline; and so do its children."""

        async def report() -> float:
            with hocket.move_on_after(1000):
                return hocket.current_effective_deadline()

        async def child() -> float:
            return await asyncio.create_task(report())

        async def main() -> None:
            with hocket.move_on_after(10) as scope:
                task = asyncio.create_task(child())
            assert await task == scope.deadline
            await asyncio.sleep(20)
            assert await asyncio.create_task(report()) == now() + 1000

        run(main())

    def test_a_bare_task_is_not_inside(self) -> None:
        """It goes on when the scope in which it was made is cancelled."""

        async def main() -> None:
            async def work() -> str:
                await asyncio.sleep(5)
                return "done"

            with hocket.CancelScope() as scope:
                task = asyncio.create_task(work())
                scope.cancel()
                await asyncio.sleep(5)
            assert await task == "done"

        run(main())


class TestMisuse:
    def test_entered_twice(self) -> None:
        """A scope is for one block."""

        async def main() -> None:
            with hocket.CancelScope() as scope:
                with pytest.raises(RuntimeError, match="has been entered before"), scope:
                    pass
            with pytest.raises(RuntimeError, match="has been entered before"), scope:
                pass
            with pytest.raises(RuntimeError, match="was not entered"):
                scope.__exit__(None, None, None)

        run(main())

    def test_left_in_the_wrong_order(self) -> None:
        """That is refused; the scope is gone all the same, and the other works on."""

        async def main() -> None:
            outer, inner = hocket.CancelScope(), hocket.CancelScope()
            outer.__enter__()
            inner.__enter__()
            with pytest.raises(RuntimeError, match="must be nested"):
                outer.__exit__(None, None, None)
            inner.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.sleep(0)
            inner.__exit__(None, None, None)
            await asyncio.sleep(0)
            outer.cancel()
            await asyncio.sleep(0)

        run(main())

    def test_left_in_the_wrong_task(self) -> None:
        """That is refused, and the task that entered it is inside still."""

        async def main() -> None:
            scope = hocket.CancelScope()

            async def leave() -> None:
                with pytest.raises(RuntimeError, match="must be left there"):
                    scope.__exit__(None, None, None)

            with scope:
                await asyncio.create_task(leave())
                scope.cancel()
                await asyncio.sleep(1)
            assert scope.cancelled_caught

        run(main())

    def test_in_a_callback(self) -> None:
        """Only a task can be cancelled."""

        async def main() -> None:
            failed = asyncio.get_running_loop().create_future()

            def callback() -> None:
                with pytest.raises(RuntimeError, match="this is a callback"), hocket.CancelScope():
                    pass
                failed.set_result(None)

            asyncio.get_running_loop().call_soon(callback)
            await failed

        run(main())

    def test_in_a_task_of_another_class(self) -> None:
        """asyncio's own tasks know nothing of scopes, on our loops and on others."""

        async def enter() -> None:
            with pytest.raises(RuntimeError, match="inside of a task"), hocket.CancelScope():
                pass
            assert hocket.current_effective_deadline() == math.inf

        async def main() -> None:
            loop = asyncio.get_running_loop()
            await asyncio.Task(enter(), loop=loop)

        run(main())
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(enter())

            async def relative() -> None:
                with pytest.raises(RuntimeError, match="need a loop of hocket's"):
                    hocket.fail_after(1)

            runner.run(relative())

    @pytest.mark.parametrize("wrong", ["1", None, True])
    def test_a_deadline_that_is_none(self, wrong: Any) -> None:
        """Refused where it is given."""
        with pytest.raises(TypeError, match="a deadline is"):
            hocket.CancelScope(deadline=wrong)
        with pytest.raises(ValueError, match="nan"):
            hocket.CancelScope(deadline=math.nan)
        scope = hocket.CancelScope()
        with pytest.raises(TypeError, match="a deadline is"):
            scope.deadline = wrong
        assert scope.deadline == math.inf

    def test_what_it_shows(self) -> None:
        """The representation says where it stands."""

        async def main() -> None:
            scope = hocket.CancelScope(deadline=1234.5, shield=True)
            assert repr(scope) == "<CancelScope new deadline=1234.5 shield>"
            with scope:
                assert repr(scope) == "<CancelScope active deadline=1234.5 shield>"
                scope.cancel("enough")
            assert repr(scope).startswith("<CancelScope left cancelled by Task-")
            assert "enough" in repr(scope)

        run(main())
