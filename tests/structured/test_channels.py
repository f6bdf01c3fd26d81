"""`hocket.open_channel`: trio's documented behaviour, hocket's additions, and no item lost in any schedule."""

from __future__ import annotations

import asyncio
import gc
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hocket
from hocket import BrokenResourceError, ClosedResourceError, EndOfChannel, WouldBlock
from tests.unit.loops import EVERY
from tests.unit.loops import run as run_on
from tests.virtual import run

EACH_LOOP = pytest.mark.parametrize("factory", EVERY, ids=lambda factory: factory.__name__)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def start(coro: Any) -> Any:
    return asyncio.create_task(coro)


async def outcome(awaitable: Any) -> Any:
    """What it gives, or the class of what it raises."""
    try:
        return await awaitable
    except (asyncio.CancelledError, Exception) as error:
        return type(error)


# -- Capacity


@pytest.mark.parametrize("capacity", [1.5, "1", None, True, math.nan])
def test_a_capacity_that_is_no_number_of_items_is_refused(capacity: Any) -> None:
    """With what came and what was expected."""
    with pytest.raises(TypeError, match=r"capacity of a channel as an int of 0 or more, or math\.inf, got"):
        hocket.open_channel(capacity)


def test_a_negative_capacity_is_refused() -> None:
    """At once, and with the number."""
    with pytest.raises(ValueError, match="0 or more items, got -1"):
        hocket.open_channel(-1)


def test_a_channel_without_a_capacity_is_refused() -> None:
    """There is no default: how much may wait is for the program to say."""
    with pytest.raises(TypeError, match="open_channel"):
        hocket.open_channel()  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", [hocket.SendChannel, hocket.ReceiveChannel])
def test_an_end_is_not_made_by_its_class(kind: Any) -> None:
    """The error says by what it is."""
    with pytest.raises(TypeError, match=r"made by open_channel\(\)"):
        kind()


@EACH_LOOP
@pytest.mark.parametrize("capacity", [0, 1, 3, math.inf])
def test_what_is_sent_is_received_in_order(factory: Any, capacity: float) -> None:
    """Whatever the capacity, on every loop, and `async for` ends when the sender is closed."""

    async def main() -> list[int]:
        sender, receiver = hocket.open_channel(capacity)

        async def produce() -> None:
            with sender:
                for item in range(20):
                    await sender.send(item)

        task = start(produce())
        got = [item async for item in receiver]
        await task
        return got

    assert run_on(factory, main()) == list(range(20))


def test_send_waits_while_the_channel_is_full() -> None:
    """And goes on as soon as there is room."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(2)
        await sender.send(1)
        await sender.send(2)
        third = start(sender.send(3))
        await turns()
        assert not third.done() and sender.statistics().items == 2
        assert await receiver.receive() == 1
        # Taken over in the same moment: whoever receives finds it.
        assert (receiver.receive_nowait(), receiver.receive_nowait()) == (2, 3)
        await third

    run(main())


def test_without_capacity_an_item_is_handed_over() -> None:
    """The sender waits until somebody takes it, and nothing is ever in the buffer."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(0)
        sending = start(sender.send("item"))
        await turns()
        assert not sending.done() and sender.statistics().items == 0
        assert await receiver.receive() == "item"
        await turns()
        assert sending.done() and sender.statistics().most == 0

    run(main())


def test_nowait_hands_over_to_whoever_waits() -> None:
    """Without capacity it needs somebody at the other end, and raises `WouldBlock` otherwise."""

    async def main() -> Any:
        sender, receiver = hocket.open_channel(0)
        with pytest.raises(WouldBlock, match="no room"):
            sender.send_nowait(1)
        with pytest.raises(WouldBlock, match="nothing to receive"):
            receiver.receive_nowait()
        receiving = start(receiver.receive())
        await turns()
        sender.send_nowait(2)
        with pytest.raises(WouldBlock):
            sender.send_nowait(3)  # the one who waited has his item already
        return await receiving

    assert run(main()) == 2


def test_an_unbounded_channel_never_holds_a_sender_back() -> None:
    """It has to be asked for by `math.inf`."""
    sender, receiver = hocket.open_channel(math.inf)
    for item in range(1000):
        sender.send_nowait(item)
    assert sender.capacity == math.inf and receiver.statistics().items == 1000


def test_the_capacity_is_an_int() -> None:
    """As it was given."""
    sender, receiver = hocket.open_channel(3)
    assert (sender.capacity, type(receiver.capacity)) == (3, int)


# -- Fairness


def test_receivers_and_senders_are_served_first_come_first_served() -> None:
    """Nobody who comes later gets an item, or room, that another has been woken for."""

    async def main() -> tuple[list[Any], list[Any]]:
        sender, receiver = hocket.open_channel(1)
        receiving = [start(receiver.receive()) for _ in range(3)]
        await turns()
        for item in range(3):
            sender.send_nowait(item)
        with pytest.raises(WouldBlock):
            receiver.receive_nowait()  # they are promised
        got = [await task for task in receiving]
        sending = [start(sender.send(item)) for item in range(4)]
        await turns()
        with pytest.raises(WouldBlock):
            sender.send_nowait("late")
        order = [await receiver.receive() for _ in range(4)]
        await asyncio.gather(*sending)
        return got, order

    assert run(main()) == ([0, 1, 2], [0, 1, 2, 3])


# -- Closing


def test_closing_the_last_sender_ends_the_channel() -> None:
    """What is left comes first; then `EndOfChannel`, again and again."""

    async def main() -> list[Any]:
        sender, receiver = hocket.open_channel(5)
        second = sender.clone()
        await sender.send(1)
        sender.close()
        await second.send(2)
        second.close()
        got = [await outcome(receiver.receive()) for _ in range(4)]
        with pytest.raises(EndOfChannel):
            receiver.receive_nowait()
        return got

    assert run(main()) == [1, 2, EndOfChannel, EndOfChannel]


def test_closing_the_last_sender_wakes_those_who_receive() -> None:
    """All of them, `async for` without an error."""

    async def main() -> list[Any]:
        sender, receiver = hocket.open_channel(1)

        async def collect() -> list[Any]:
            return [item async for item in receiver]

        tasks = [start(receiver.receive()), start(receiver.receive()), start(collect())]
        await turns()
        sender.close()
        return [await outcome(task) for task in tasks]

    assert run(main()) == [EndOfChannel, EndOfChannel, []]


def test_closing_the_last_receiver_breaks_the_channel() -> None:
    """For those who wait to send and those who come later; what is left is dropped, and counted."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(1)
        second = receiver.clone()
        await sender.send(1)
        sending = start(sender.send(2))
        await turns()
        receiver.close()
        await turns()
        assert not sending.done()
        second.close()
        assert await outcome(sending) is BrokenResourceError
        with pytest.raises(BrokenResourceError, match="every ReceiveChannel of it is closed"):
            await sender.send(3)
        with pytest.raises(BrokenResourceError):
            sender.send_nowait(3)
        facts = sender.statistics()
        assert (facts.sent, facts.received, facts.dropped, facts.items) == (1, 0, 1, 0)

    run(main())


def test_a_closed_end_is_of_no_use_any_more() -> None:
    """Every operation says so; to close it once more is fine."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(1)
        sender.close()
        sender.close()
        receiver.close()
        receiver.close()
        assert sender.closed and receiver.closed
        assert "closed" in repr(sender)
        for used in (
            lambda: sender.send_nowait(1),
            sender.clone,
            receiver.receive_nowait,
            receiver.clone,
        ):
            with pytest.raises(ClosedResourceError, match="has been closed at this end"):
                used()
        assert await outcome(sender.send(1)) is ClosedResourceError
        assert await outcome(receiver.receive()) is ClosedResourceError
        assert await outcome(receiver.__anext__()) is ClosedResourceError

    run(main())


def test_closing_an_end_wakes_those_who_wait_by_it() -> None:
    """And nobody who waits by a clone."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(0)
        other = sender.clone()
        mine, others = start(sender.send(1)), start(other.send(2))
        await turns()
        sender.close()
        assert await outcome(mine) is ClosedResourceError
        assert not others.done()
        assert await receiver.receive() == 2
        clone = receiver.clone()
        mine, others = start(receiver.receive()), start(clone.receive())
        await turns()
        receiver.close()
        assert await outcome(mine) is ClosedResourceError
        await other.send(3)
        assert await others == 3

    run(main())


def test_blocks_close() -> None:
    """`with` and `async with`, of both ends; and `aclose`."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(1)
        with sender as inside:
            assert inside is sender
        async with receiver as entered:
            assert entered is receiver
        assert sender.closed and receiver.closed
        sender, receiver = hocket.open_channel(1)
        async with sender:
            pass
        with receiver:
            pass
        assert sender.closed and receiver.closed
        sender, receiver = hocket.open_channel(1)
        await sender.aclose()
        await receiver.aclose()
        assert sender.closed and receiver.closed

    run(main())


def test_receivers_learn_for_which_error_the_sender_was_closed() -> None:
    """After what was sent before: nobody takes half for the whole."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(5)
        clone = sender.clone()
        failure = ValueError("half of it")
        with pytest.raises(ValueError, match="half of it"):
            async with sender:
                await sender.send(1)
                raise failure
        clone.close()
        got = []
        with pytest.raises(BrokenResourceError) as caught:
            async for item in receiver:
                got.append(item)
        assert got == [1]
        assert caught.value.__cause__ is failure

    run(main())


def test_senders_learn_for_which_error_the_receiver_was_closed() -> None:
    """As the cause of their own."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(0)
        sending = start(sender.send(1))
        await turns()
        with pytest.raises(ValueError), receiver:
            raise ValueError("cannot be parsed")
        with pytest.raises(BrokenResourceError) as caught:
            await sending
        assert repr(caught.value.__cause__) == "ValueError('cannot be parsed')"

    run(main())


def test_a_cancellation_closes_a_block_as_its_end_does() -> None:
    """To stop sending after a while is no error."""

    async def main() -> list[int]:
        sender, receiver = hocket.open_channel(5)

        async def produce() -> None:
            async with sender:
                for item in range(100):
                    await sender.send(item)
                    await asyncio.sleep(1)

        task = start(produce())
        asyncio.get_running_loop().call_later(2.5, task.cancel)
        return [item async for item in receiver]

    assert run(main()) == [0, 1, 2]


def test_an_end_that_is_dropped_is_closed() -> None:
    """So that nobody waits for ever for who has gone without a word."""

    async def main() -> list[Any]:
        sender, receiver = hocket.open_channel(1)
        receiving = start(receiver.receive())
        await turns()
        del sender
        gc.collect()
        first = await outcome(receiving)
        sender, receiver = hocket.open_channel(0)
        sending = start(sender.send(1))
        await turns()
        del receiver
        gc.collect()
        return [first, await outcome(sending)]

    assert run(main()) == [EndOfChannel, BrokenResourceError]


# -- Cancellation in the same turn


def test_an_item_for_a_receiver_who_is_cancelled_in_that_turn_goes_to_the_next() -> None:
    """And stays in its place if there is no other."""

    async def main() -> list[Any]:
        sender, receiver = hocket.open_channel(2)
        first, second, third = (start(receiver.receive()) for _ in range(3))
        await turns()
        sender.send_nowait("one")
        sender.send_nowait("two")
        first.cancel()
        second.cancel()
        got = [await outcome(first), await outcome(second), await third]
        return [*got, await receiver.receive()]

    assert run(main()) == [asyncio.CancelledError, asyncio.CancelledError, "one", "two"]


def test_order_survives_receivers_who_are_cancelled() -> None:
    """What comes back stands where it stood."""

    async def main() -> list[Any]:
        sender, receiver = hocket.open_channel(5)
        tasks = [start(receiver.receive()) for _ in range(3)]
        await turns()
        for item in range(5):
            sender.send_nowait(item)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [receiver.receive_nowait() for _ in range(5)]

    assert run(main()) == [0, 1, 2, 3, 4]


def test_a_handed_over_item_whose_receiver_is_cancelled_waits_for_another() -> None:
    """The sender has been told that it is sent, so it is kept even without capacity."""

    async def main() -> Any:
        sender, receiver = hocket.open_channel(0)
        receiving = start(receiver.receive())
        await turns()
        sender.send_nowait("item")
        receiving.cancel()
        await turns()
        with pytest.raises(WouldBlock):
            sender.send_nowait("another")
        return await receiver.receive()

    assert run(main()) == "item"


def test_an_item_of_a_cancelled_receiver_is_dropped_with_the_last_receiver() -> None:
    """And counted."""

    async def main() -> int:
        sender, receiver = hocket.open_channel(0)
        receiving = start(receiver.receive())
        await turns()
        sender.send_nowait("item")
        receiving.cancel()
        receiver.close()
        await turns()
        return sender.statistics().dropped

    assert run(main()) == 1


def test_a_promise_outlives_the_end_by_which_it_was_made() -> None:
    """Whoever was woken with an item gets it, also if the end is closed in that turn."""

    async def main() -> Any:
        sender, receiver = hocket.open_channel(1)
        receiving = start(receiver.receive())
        await turns()
        sender.send_nowait("item")
        receiver.close()
        return await receiving

    assert run(main()) == "item"


def test_a_cancelled_send_has_sent_nothing() -> None:
    """What waited for room is gone with its sender."""

    async def main() -> list[Any]:
        sender, receiver = hocket.open_channel(1)
        await sender.send(1)
        sending = start(sender.send(2))
        await turns()
        sending.cancel()
        assert await outcome(sending) is asyncio.CancelledError
        return [await receiver.receive(), await outcome(asyncio.wait_for(receiver.receive(), 1))]

    assert run(main()) == [1, TimeoutError]


def test_a_cancellation_after_the_item_was_taken_over_waits_for_the_next_suspension() -> None:
    """`send` has sent it and says so; the task is cancelled where it waits next."""

    async def main() -> list[str]:
        sender, receiver = hocket.open_channel(0)
        trace = []

        async def produce() -> None:
            await sender.send("item")
            trace.append("sent")
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError as error:
                trace.append(f"cancelled {error} {asyncio.current_task().cancelling()}")  # type: ignore[union-attr]
                raise

        task = start(produce())
        await turns()
        trace.append(receiver.receive_nowait())
        task.cancel("enough")
        assert await outcome(task) is asyncio.CancelledError
        return trace

    assert run(main()) == ["item", "sent", "cancelled enough 1"]


def test_a_time_limit_that_comes_with_the_item_lets_the_send_be() -> None:
    """`asyncio.timeout` that expires in that very turn: the item is sent, and the block is not cut off for it."""

    async def main() -> tuple[Any, bool]:
        sender, receiver = hocket.open_channel(0)
        expired = True

        async def produce() -> None:
            nonlocal expired
            async with asyncio.timeout(None) as limit:
                asyncio.get_running_loop().call_at(loop.time() + 1, take)
                limit.reschedule(loop.time() + 1)
                await sender.send("item")
            expired = False
            await asyncio.sleep(1)

        got = []

        def take() -> None:
            got.append(receiver.receive_nowait())

        loop = asyncio.get_running_loop()
        await start(produce())
        return got, expired

    assert run(main()) == (["item"], False)


# -- Statistics


def test_statistics_tell_who_waits_and_what_went_through() -> None:
    """Of either end the same."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(1)
        second = sender.clone()
        await sender.send(0)
        task = asyncio.create_task(second.send(1), name="waits")
        await asyncio.sleep(2)
        facts = receiver.statistics()
        assert (facts.capacity, facts.items, facts.most, facts.sent, facts.received) == (1, 1, 1, 1, 0)
        assert (facts.open_senders, facts.open_receivers) == (2, 1)
        assert [waiter.name for waiter in facts.sending.waiters] == ["waits"]
        assert facts.receiving.waits == 0
        assert await receiver.receive() == 0
        assert await receiver.receive() == 1
        await task
        facts = sender.statistics()
        assert (facts.items, facts.sent, facts.received, facts.sending.waits) == (0, 2, 2, 1)

    run(main())


def test_an_end_takes_attributes_and_a_parameter() -> None:
    """As public classes of hocket do."""
    sender, _ = hocket.open_channel(1)
    sender.label = "mine"  # type: ignore[attr-defined]
    assert sender.label == "mine"  # type: ignore[attr-defined]
    assert str(hocket.SendChannel[int]).endswith("SendChannel[int]")


def test_a_channel_belongs_to_the_loop_on_which_somebody_waited() -> None:
    """Another one is refused."""
    sender, receiver = hocket.open_channel(0)

    async def wait() -> None:
        await asyncio.wait_for(receiver.receive(), 1)

    with pytest.raises(TimeoutError):
        run(wait())
    with pytest.raises(RuntimeError, match="bound to a different event loop"):
        run(wait())
    sender.close()


# -- Schedules

#: Who it is (True: a sender), how many items he sends or receives, after how many turns, and when he is cancelled.
people = st.lists(
    st.tuples(st.booleans(), st.integers(1, 4), st.integers(0, 4), st.none() | st.integers(0, 9)),
    min_size=1,
    max_size=7,
)


@settings(max_examples=400)
@given(st.sampled_from([0, 1, 2, math.inf]), people, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9))
def test_no_schedule_loses_an_item(
    capacity: float,
    plan: list[tuple[bool, int, int, int | None]],
    senders_close: int | None,
    receivers_close: int | None,
) -> None:
    """Whoever is cancelled or closed when: what `send` says is sent, is received once, is in the channel, or is counted
    as dropped; what it does not say never arrives; and each receiver gets the items of one sender in their order."""

    async def main() -> None:
        sender, receiver = hocket.open_channel(capacity)
        sent: list[Any] = []
        got: list[Any] = []
        each: dict[int, list[Any]] = {}

        async def send(number: int, count: int, after: int) -> None:
            await turns(after)
            for index in range(count):
                await sender.send((number, index))
                sent.append((number, index))

        async def receive(number: int, count: int, after: int) -> None:
            await turns(after)
            for _ in range(count):
                item = await receiver.receive()
                got.append(item)
                each.setdefault(number, []).append(item)

        tasks = [
            start((send if sends else receive)(number, count, after))
            for number, (sends, count, after, _) in enumerate(plan)
        ]
        for turn in range(14):
            for task, (_, _, _, when) in zip(tasks, plan, strict=True):
                if when == turn:
                    task.cancel()
            if senders_close == turn:
                sender.close()
            if receivers_close == turn:
                receiver.close()
            await asyncio.sleep(0)
            facts = sender.statistics()
            # What was promised to somebody who is cancelled comes on top.
            assert facts.items <= capacity + len(plan) and facts.most <= capacity
        await turns(20)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        facts = sender.statistics()
        left = []
        if not receiver.closed:
            sender.close()
            left = [item async for item in receiver]
        assert sorted(got + left) == sorted(set(got + left)), "an item was received twice"
        assert len(got) + len(left) + facts.dropped == len(sent) == facts.sent
        assert set(got + left) <= set(sent)
        for items in [*each.values(), left]:
            for number in range(len(plan)):
                of_one = [index for who, index in items if who == number]
                assert of_one == sorted(of_one)
        assert not facts.sending.waiters and not facts.receiving.waiters

    run(main())


@settings(max_examples=200)
@given(st.integers(0, 3), st.lists(st.sampled_from(["send", "receive"]), max_size=30))
def test_without_waiting_it_is_a_bounded_queue(capacity: int, steps: list[str]) -> None:
    """The model: a list with a limit."""
    sender, receiver = hocket.open_channel(capacity)
    model: list[int] = []
    for number, step in enumerate(steps):
        if step == "send":
            if len(model) < capacity:
                sender.send_nowait(number)
                model.append(number)
            else:
                with pytest.raises(WouldBlock):
                    sender.send_nowait(number)
        elif model:
            assert receiver.receive_nowait() == model.pop(0)
        else:
            with pytest.raises(WouldBlock):
                receiver.receive_nowait()
        assert sender.statistics().items == len(model)


def test_an_operation_can_be_wrapped_and_awaited_by_anything() -> None:
    """`wait_for`, `gather` and `create_task` take it as they take a coroutine."""

    async def main() -> list[Any]:
        sender, receiver = hocket.open_channel(1)
        got = asyncio.gather(receiver.receive(), asyncio.wait_for(receiver.receive(), 5))
        await asyncio.wait_for(sender.send(1), 5)
        await sender.send(2)
        return list(await got)

    assert hocket.run(main()) == [1, 2]
