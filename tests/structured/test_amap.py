"""`hocket.amap`: how many at once, how many a second, in which order, and that nothing is left when it is over."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket
from tests.structured.test_channels import outcome, start, turns
from tests.unit.loops import EVERY
from tests.unit.loops import run as run_on
from tests.virtual import run

EACH_LOOP = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)


class Busy:
    """Counts how many are inside."""

    def __init__(self) -> None:
        self.now = self.most = self.begun = self.ended = 0

    def __enter__(self) -> None:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *error: object) -> None:
        self.now -= 1
        self.ended += 1


async def asynchronous(items: Any, log: list[str] | None = None) -> AsyncIterator[Any]:
    """The same items, asynchronously."""
    try:
        for item in items:
            await asyncio.sleep(0)
            yield item
    finally:
        if log is not None:
            log.append("closed")


def nothing_left() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


async def double(item: int) -> int:
    return 2 * item


async def later(item: int) -> int:
    """The smaller, the later."""
    await asyncio.sleep(10 - item % 10)
    return item


# -- What is refused


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"max_at_once": 0}, ValueError, "max_at_once of 1 or more, got 0"),
        ({"max_at_once": -3}, ValueError, "max_at_once of 1 or more, got -3"),
        ({"max_at_once": 1.5}, TypeError, "max_at_once as an int of 1 or more, got 1.5"),
        ({"max_at_once": None}, TypeError, "max_at_once as an int"),
        ({"max_at_once": True}, TypeError, "max_at_once as an int"),
        ({}, TypeError, "max_at_once"),
        ({"max_at_once": 1, "max_per_second": 0}, ValueError, "max_per_second above 0, got 0"),
        ({"max_at_once": 1, "max_per_second": -1.0}, ValueError, "max_per_second above 0"),
        ({"max_at_once": 1, "max_per_second": float("nan")}, ValueError, "max_per_second above 0, got nan"),
        ({"max_at_once": 1, "max_per_second": "10"}, TypeError, "max_per_second as a number above 0, or None"),
        ({"max_at_once": 4, "window": 3}, ValueError, "window of at least max_at_once=4 items, got 3"),
        ({"max_at_once": 4, "window": 0}, ValueError, "window of 1 or more"),
    ],
)
def test_limits_that_cannot_be_meant_are_refused(options: Any, error: type[Exception], said: str) -> None:
    """At the call, before anything starts."""
    with pytest.raises(error, match=said):
        hocket.amap(double, [1], **options)


def test_what_cannot_be_called_or_iterated_is_refused() -> None:
    """Each by its name."""
    with pytest.raises(TypeError, match="expected a coroutine function, got 3"):
        hocket.amap(3, [1], max_at_once=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"amap\(\) expected an iterable, or an asynchronous one, got 3"):
        hocket.amap(double, 3, max_at_once=1)  # type: ignore[arg-type]


def test_a_function_that_gives_nothing_to_await_is_an_error() -> None:
    """Of the call, with what it gave."""

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async for _ in hocket.amap(str, [1], max_at_once=1):  # type: ignore[arg-type]
                pass
        (error,) = caught.value.exceptions
        assert "expected a function that gives something to await, got '1'" in str(error)

    run(main())


# -- Results


@EACH_LOOP
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("kind", [iter, asynchronous])
def test_every_item_has_its_result(factory: Any, ordered: bool, kind: Any) -> None:
    """Of iterables of either kind, on every loop; calls that wait and calls that do not."""

    async def some_wait(item: int) -> int:
        for _ in range(item % 3):
            await asyncio.sleep(0)
        return item

    async def main() -> list[int]:
        before = asyncio.all_tasks()
        got = [item async for item in hocket.amap(some_wait, kind(range(50)), max_at_once=4, ordered=ordered)]
        assert asyncio.all_tasks() == before
        return got if ordered else sorted(got)

    assert run_on(factory, main()) == list(range(50))


def test_results_come_as_they_are_ready() -> None:
    """Unless they are to come in order."""

    async def main() -> None:
        assert [item async for item in hocket.amap(later, range(5), max_at_once=5)] == [4, 3, 2, 1, 0]
        assert [item async for item in hocket.amap(later, range(5), max_at_once=5, ordered=True)] == [0, 1, 2, 3, 4]

    run(main())


def test_anything_awaitable_will_do() -> None:
    """A function may give a future, or one of hocket's operations."""

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()

        def future(item: int) -> Any:
            made = loop.create_future()
            loop.call_later(1, made.set_result, item)
            return made

        got = [item async for item in hocket.amap(future, [1, 2], max_at_once=2)]
        return [*got, *[item async for item in hocket.amap(lambda item: hocket.sleep(1, item), [3], max_at_once=1)]]

    assert run(main()) == [1, 2, 3]


def test_no_items_no_results() -> None:
    """And no error."""

    async def main() -> list[Any]:
        empty: list[int] = []
        got = [item async for item in hocket.amap(double, empty, max_at_once=3)]
        return [*got, *[item async for item in hocket.amap(double, asynchronous(empty), max_at_once=3)]]

    assert run(main()) == []


def test_each_call_has_a_task_and_a_context_of_its_own() -> None:
    """What one sets is not seen by the others, and they see what was set where the iteration began."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def call(item: int) -> tuple[str, Any]:
        seen = variable.get()
        variable.set(f"by {item}")
        await asyncio.sleep(item % 2)
        return seen, asyncio.current_task()

    async def main() -> None:
        variable.set("by main")
        got = [item async for item in hocket.amap(call, range(6), max_at_once=2)]
        assert {seen for seen, _ in got} == {"by main"}
        assert len({task for _, task in got}) == 6
        assert variable.get() == "by main"

    run(main())


# -- Limits


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("kind", [iter, asynchronous])
def test_no_more_than_max_at_once_run(ordered: bool, kind: Any) -> None:
    """And as many as that, if there are as many items."""

    async def main() -> int:
        busy = Busy()

        async def call(item: int) -> None:
            with busy:
                await asyncio.sleep(1 + item % 4)

        async for _ in hocket.amap(call, kind(range(40)), max_at_once=7, ordered=ordered):
            pass
        return busy.most

    assert run(main()) == 7


@pytest.mark.parametrize("kind", [iter, asynchronous])
def test_calls_start_at_the_rate_that_was_asked_for(kind: Any) -> None:
    """Evenly spaced, the first at once, exactly."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def call(item: int) -> float:
            return round(loop.time() - began, 6)

        return [when async for when in hocket.amap(call, kind(range(9)), max_at_once=3, max_per_second=4)]

    assert run(main()) == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]


def test_the_rate_is_kept_while_the_other_limit_holds_back() -> None:
    """What could not be started in its time is not made up for in a burst."""

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        starts = []

        async def call(item: int) -> None:
            starts.append(round(loop.time() - began, 3))
            await asyncio.sleep(3 if item == 0 else 0)

        async for _ in hocket.amap(call, range(4), max_at_once=1, max_per_second=2):
            pass
        return starts

    assert run(main()) == [0.0, 3.0, 3.49, 3.99]


def test_a_slow_consumer_slows_the_calls_down() -> None:
    """There are never more results than the window holds; and no item is taken that cannot be started."""

    async def main() -> None:
        taken = 0

        def items() -> Iterator[int]:
            nonlocal taken
            for item in range(100):
                taken += 1
                yield item

        given_so_far = 0
        async with hocket.amap(double, items(), max_at_once=3, window=5) as results:
            async for _ in results:
                given_so_far += 1
                await asyncio.sleep(1)
                assert taken - given_so_far <= 5
                if given_so_far == 20:
                    break
        assert taken <= 25

    run(main())


def test_one_slow_call_does_not_hold_those_in_the_window_back() -> None:
    """In order, too: others run on until the window behind it is full."""

    async def main() -> list[int]:
        started = []

        async def call(item: int) -> int:
            started.append(item)
            await asyncio.sleep(100 if item == 0 else 1)
            return item

        async with hocket.amap(call, range(50), max_at_once=2, ordered=True, window=10) as results:
            first = start(anext(results))
            await asyncio.sleep(50)
            assert started == list(range(10))
            assert results.statistics().waiting == 9
            got = [await first]
            got += [item async for item in results]
        return got

    assert run(main()) == list(range(50))


def test_without_a_consumer_nothing_starts() -> None:
    """Making the iterator starts nothing, and an iterator that is never used leaves nothing behind."""

    async def main() -> None:
        busy = Busy()

        async def call(item: int) -> None:
            with busy:
                pass

        results = hocket.amap(call, range(10), max_at_once=2)
        await turns()
        assert busy.begun == 0
        await results.aclose()
        assert [item async for item in results] == []
        assert busy.begun == 0 and nothing_left()

    run(main())


# -- Ends


async def fail_at_3(item: int) -> int:
    await asyncio.sleep(item)
    if item == 3:
        raise ValueError(f"item {item}")
    return item


@pytest.mark.parametrize("ordered", [False, True])
def test_the_first_error_ends_all_calls(ordered: bool) -> None:
    """Results that were there come first; when the error comes out, nothing runs any more."""

    async def main() -> list[int]:
        got = []
        with pytest.raises(ExceptionGroup, match="unhandled errors in amap of fail_at_3") as caught:
            async for item in hocket.amap(fail_at_3, range(100), max_at_once=10, ordered=ordered):
                got.append(item)
                await asyncio.sleep(0.1)
        assert [str(error) for error in caught.value.exceptions] == ["item 3"]
        assert nothing_left()
        return got

    assert run(main()) == [0, 1, 2]


def test_every_error_is_in_the_group() -> None:
    """Also of calls that fail while they are cancelled."""

    async def call(item: int) -> None:
        try:
            await asyncio.sleep(1 if item == 0 else 100)
        finally:
            if item == 1:
                await asyncio.sleep(5)
                raise KeyError("on the way out")
        raise ValueError("first")

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async for _ in hocket.amap(call, range(3), max_at_once=3):
                pass
        assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]
        assert nothing_left()

    run(main())


def test_a_call_that_is_cancelled_by_somebody_else_is_an_error() -> None:
    """Its result would be missing without a word."""

    async def call(item: int) -> int:
        if item == 2:
            raise asyncio.CancelledError
        return item

    async def main() -> None:
        with pytest.raises(BaseExceptionGroup) as caught:
            async for _ in hocket.amap(call, range(5), max_at_once=1):
                pass
        assert [type(error) for error in caught.value.exceptions] == [asyncio.CancelledError]

    run(main())


def broken() -> Iterator[int]:
    yield 1
    raise LookupError("no more")


@pytest.mark.parametrize("kind", [iter, asynchronous])
def test_an_error_of_the_source_comes_out_as_it_is(kind: Any) -> None:
    """After what was there before."""

    async def main() -> list[int]:
        got = []
        with pytest.raises(LookupError, match="no more"):
            async for item in hocket.amap(double, kind(broken()), max_at_once=1):
                got.append(item)
        assert nothing_left()
        return got

    assert run(main()) == [2]


@pytest.mark.parametrize("kind", [iter, asynchronous])
def test_a_block_that_is_left_early_leaves_nothing_running(kind: Any) -> None:
    """By `break`, and by an error of its own, which comes out as it is."""

    async def main() -> None:
        busy = Busy()

        async def call(item: int) -> int:
            with busy:
                await asyncio.sleep(1 + item)
                return item

        async with hocket.amap(call, kind(range(100)), max_at_once=5) as results:
            async for _ in results:
                break
            assert busy.now
        assert busy.now == 0 and nothing_left()
        with pytest.raises(KeyError):
            async with hocket.amap(call, kind(range(100)), max_at_once=5) as results:
                async for _ in results:
                    raise KeyError
        assert busy.now == 0 and nothing_left()
        assert [item async for item in results] == []

    run(main())


def test_an_asynchronous_source_is_closed() -> None:
    """At the end, and when the rest of it is not wanted."""

    async def main() -> list[str]:
        log: list[str] = []
        async for _ in hocket.amap(double, asynchronous(range(3), log), max_at_once=1):
            pass
        log.append("first")
        async with hocket.amap(later, asynchronous(range(30), log), max_at_once=2) as results:
            await anext(results)
        return log

    assert run(main()) == ["closed", "first", "closed"]


async def stubborn() -> AsyncIterator[int]:
    """Swallows cancellations, and goes on."""
    item = 0
    while True:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            pass
        yield item
        item += 1


@pytest.mark.parametrize(
    "made",
    [
        lambda items: hocket.amap(double, items, max_at_once=2),
        hocket.merge,
        lambda items: hocket.batched(items, 2),
        lambda items: hocket.pipeline(items, *(hocket.stage(double, max_at_once=1) for _ in range(2))),
    ],
    ids=["amap", "merge", "batched", "pipeline"],
)
def test_a_source_that_swallows_its_cancellation_is_ended_nevertheless(made: Any) -> None:
    """As soon as it gives another item."""

    async def main() -> None:
        async with made(stubborn()) as results:
            await anext(results)
            await asyncio.sleep(10)
        assert nothing_left()

    run(main())


def test_what_calls_raise_while_the_block_ends_comes_out_of_it() -> None:
    """With the block's own error, if it has one."""

    async def call(item: int) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            raise OSError("while closing")

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            async with hocket.amap(call, range(1), max_at_once=1):
                await asyncio.sleep(1)
        assert [type(error) for error in caught.value.exceptions] == [OSError]
        with pytest.raises(ExceptionGroup) as caught:
            async with hocket.amap(call, range(1), max_at_once=1):
                await asyncio.sleep(1)
                raise KeyError
        assert [type(error) for error in caught.value.exceptions] == [KeyError, OSError]
        assert nothing_left()

    run(main())


def test_a_loop_that_is_left_without_a_block_ends_its_calls_soon() -> None:
    """`break` out of a plain `async for`."""

    async def main() -> None:
        log: list[str] = []
        async for _ in hocket.amap(later, asynchronous(range(30), log), max_at_once=2):
            break
        gc.collect()
        await turns(6)
        assert nothing_left() and log == ["closed"]

    run(main())


def test_an_error_that_nobody_will_see_is_reported() -> None:
    """By the loop's exception handler."""

    async def call(item: int) -> int:
        if item == 0:
            return item
        try:
            await asyncio.sleep(100)
        finally:
            raise OSError("on the way out")

    async def main() -> list[str]:
        said: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(f"{context['message']}: {context['exception']!r}"))
        async for _ in hocket.amap(call, range(2), max_at_once=2):
            break
        gc.collect()
        await turns(6)
        return said

    (said,) = hocket.run(main())
    assert said.endswith("has ended with an exception: OSError('on the way out')")


# -- Cancellation


def test_a_cancelled_loop_has_ended_its_calls_before_the_cancellation_goes_on() -> None:
    """Also those that take their time."""

    async def main() -> None:
        busy = Busy()

        async def call(item: int) -> None:
            with busy:
                try:
                    await asyncio.sleep(100)
                finally:
                    await asyncio.sleep(3)

        async def consume() -> None:
            async for _ in hocket.amap(call, range(100), max_at_once=5):
                pass

        task = start(consume())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.sleep(1)
        task.cancel()  # once more: it is waiting for them
        assert await outcome(task) is asyncio.CancelledError
        assert busy.begun == busy.ended == 5 and nothing_left()

    run(main())


def test_in_a_block_a_cancelled_iteration_can_be_taken_up_again() -> None:
    """Nothing is lost by it, not even what comes in the same turn."""

    async def main() -> list[int]:
        got = []
        async with hocket.amap(later, range(30), max_at_once=30, ordered=True) as results:
            while True:
                try:
                    async with asyncio.timeout(1):
                        got.append(await anext(results))
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    return got

    assert run(main()) == list(range(30))


def test_a_result_for_a_consumer_who_is_cancelled_in_that_turn_goes_to_the_next() -> None:
    """Several may share one iterator."""

    async def main() -> None:
        release = asyncio.Event()

        async def call(item: int) -> int:
            await release.wait()
            return item

        async with hocket.amap(call, [1], max_at_once=1) as results:
            first, second = start(anext(results)), start(anext(results))
            await turns()
            release.set()
            await turns(2)
            first.cancel()
            assert [await outcome(first), await second] == [asyncio.CancelledError, 1]

    run(main())


@pytest.mark.parametrize("ordered", [False, True])
def test_several_may_share_one_iterator(ordered: bool) -> None:
    """Each result goes to one of them, and all of them see the end."""

    async def main() -> list[int]:
        got: list[int] = []

        async def consume(results: Any) -> None:
            async for item in results:
                got.append(item)
                await asyncio.sleep(item % 3)

        async with hocket.amap(later, range(40), max_at_once=4, ordered=ordered) as results:
            await asyncio.gather(*(consume(results) for _ in range(3)))
        return sorted(got)

    assert run(main()) == list(range(40))


def test_statistics_tell_how_far_it_is() -> None:
    """Started, running, waiting and given."""

    async def main() -> None:
        async with hocket.amap(later, range(30), max_at_once=3, window=4) as results:
            assert await anext(results) == 2
            facts = results.statistics()
            assert (facts.started, facts.running, facts.given, facts.waiting) == (3, 2, 1, 0)
            assert (facts.max_at_once, facts.window, facts.most_running) == (3, 4, 3)

    run(main())


# -- Schedules

calls = st.lists(st.integers(0, 5), max_size=20)


@settings(max_examples=300)
@given(calls, st.integers(1, 5), st.integers(0, 5), st.booleans(), st.booleans(), st.integers(0, 4))
def test_any_schedule_keeps_the_limits(
    durations: list[int], max_at_once: int, slack: int, ordered: bool, async_source: bool, pace: int
) -> None:
    """However long the calls take and however slow the consumer is: every result comes once, in order if asked for, and
    neither limit is ever exceeded."""

    async def main() -> None:
        busy = Busy()
        window = max_at_once + slack
        started = 0

        async def call(pair: tuple[int, int]) -> int:
            nonlocal started
            started += 1
            with busy:
                for _ in range(pair[1]):
                    await asyncio.sleep(0)
            return pair[0]

        items: Any = list(enumerate(durations))
        if async_source:
            items = asynchronous(items)
        got = []
        async for result in hocket.amap(call, items, max_at_once=max_at_once, ordered=ordered, window=window):
            got.append(result)
            await turns(pace)
            assert started - len(got) <= window
        assert (got if ordered else sorted(got)) == list(range(len(durations)))
        assert busy.most <= max_at_once
        await turns(1)
        assert nothing_left()

    run(main())


@settings(max_examples=300)
@given(
    calls,
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(0, 20),
    st.none() | st.integers(0, 20),
    st.booleans(),
)
def test_any_end_leaves_nothing(
    durations: list[int],
    max_at_once: int,
    ordered: bool,
    async_source: bool,
    fails: int | None,
    cancelled: int | None,
    block: bool,
) -> None:
    """A call that fails, a cancellation from outside, in a block or not, whenever: when the task of the consumer has
    ended, so has every call, and what was given is what was there."""

    async def main() -> None:
        busy = Busy()
        got: list[int] = []
        log: list[str] = []
        told: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

        async def call(pair: tuple[int, int]) -> int:
            with busy:
                try:
                    for _ in range(pair[1]):
                        await asyncio.sleep(0)
                except asyncio.CancelledError:
                    await asyncio.sleep(0)
                    raise
            if pair[0] == fails:
                raise ValueError
            return pair[0]

        async def consume() -> None:
            items: Any = list(enumerate(durations))
            if async_source:
                items = asynchronous(items, log)
            results = hocket.amap(call, items, max_at_once=max_at_once, ordered=ordered)
            if block:
                async with results:
                    async for result in results:
                        got.append(result)
            else:
                async for result in results:
                    got.append(result)

        task = start(consume())
        if cancelled is not None:
            await turns(cancelled)
            task.cancel()
        ended = await outcome(task)
        assert nothing_left()
        assert busy.now == 0
        assert len(got) == len(set(got))
        if ordered:
            assert got == list(range(len(got)))
        if ended is None:
            assert sorted(got) == list(range(len(durations)))
            assert fails is None or fails >= len(durations)
        else:
            assert ended in (asyncio.CancelledError, ExceptionGroup)
        # A failure that comes together with the cancellation is reported, and the cancellation goes on.
        assert not told or ended is asyncio.CancelledError
        if async_source and busy.begun:
            assert log == ["closed"]

    run(main())
