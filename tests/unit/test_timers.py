"""The timer heap against a model: a sorted list."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from hocket.core.handles import TimerHandle
from hocket.core.timers import TimerHeap


class Loop:
    """All that a timer asks of its loop."""

    def get_debug(self) -> bool:
        return False


LOOP = Loop()
# Few different times, so that many timers share an instant; infinities, because a timer may never be due.
TIMES = st.one_of(st.integers(0, 5).map(float), st.floats(allow_nan=False), st.just(math.inf), st.just(-math.inf))
# A time sets a timer; None takes the first; an integer cancels one of those that are set.
STEPS = st.lists(st.one_of(TIMES, st.none(), st.integers(0, 1000)), max_size=200)


def timer(when: float) -> TimerHandle:
    return TimerHandle(when, print, (), LOOP)


@given(STEPS)
def test_leaves_in_order_of_time_then_of_setting(steps: list[float | int | None]) -> None:
    """Set, take and cancel in any order: the first is always the earliest, of one instant the one set first."""
    heap, model = TimerHeap(), []
    for number, step in enumerate(steps):
        if isinstance(step, float):
            it = timer(step)
            heap.push(it)
            model.append((step, number, it))
            model.sort(key=lambda entry: entry[:2])
        elif step is None and model:
            assert heap.first() is model[0][2]
            assert heap.pop() is model.pop(0)[2]
        elif step is not None and model:
            model.pop(step % len(model))[2].cancel()
        assert len(heap) == len(model)
        assert heap.first() is (model[0][2] if model else None)
    assert [id(heap.pop()) for _ in range(len(model))] == [id(it) for _, _, it in model]


@given(st.lists(TIMES, min_size=1, max_size=100), st.randoms(use_true_random=False))
def test_cancelled_timers_leave_at_once(times: list[float], random: object) -> None:
    """A cancelled timer is gone when cancel() returns, wherever it stood; a second cancel() changes nothing."""
    heap = TimerHeap()
    timers = [timer(when) for when in times]
    for it in timers:
        heap.push(it)
    random.shuffle(timers)  # type: ignore[attr-defined]
    for gone, it in enumerate(timers, 1):
        it.cancel()
        it.cancel()
        assert len(heap) == len(times) - gone
        assert it.cancelled()
        assert all(other is not it for other in heap.snapshot())


@given(st.lists(TIMES, max_size=50))
def test_snapshot_holds_every_timer_once(times: list[float]) -> None:
    """snapshot() tells of every timer that is set."""
    heap = TimerHeap()
    timers = [timer(when) for when in times]
    for it in timers:
        heap.push(it)
    assert sorted(map(id, heap.snapshot())) == sorted(map(id, timers))


@given(st.lists(TIMES, max_size=50))
def test_clear_lets_go_of_every_timer(times: list[float]) -> None:
    """After clear() the heap is empty, and cancelling a timer that was in it is harmless."""
    heap = TimerHeap()
    timers = [timer(when) for when in times]
    for it in timers:
        heap.push(it)
    heap.clear()
    assert len(heap) == 0
    assert heap.first() is None
    for it in timers:
        it.cancel()
    assert len(heap) == 0


def test_a_taken_timer_can_be_set_again() -> None:
    """A timer that has left the heap may be put into it again."""
    heap, it = TimerHeap(), timer(1.0)
    heap.push(it)
    assert heap.pop() is it
    heap.push(it)
    assert len(heap) == 1
    it.cancel()
    assert len(heap) == 0


def test_a_taken_timer_is_cancelled_without_touching_the_heap() -> None:
    """Cancelling a timer that has left leaves the others where they are."""
    heap, first, second = TimerHeap(), timer(1.0), timer(2.0)
    heap.push(first)
    heap.push(second)
    heap.pop()
    first.cancel()
    assert heap.first() is second and len(heap) == 1
