"""The ready ring against a model: a deque."""

from __future__ import annotations

import gc
import weakref
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from hocket.core.handles import Handle
from hocket.core.ready import Ready, Runnable

# Bursts, so that the ring fills, wraps around and grows at every place of its head.
BURSTS = st.lists(st.integers(-150, 150).filter(bool), max_size=12)


@given(BURSTS)
def test_first_in_first_out(bursts: list[int]) -> None:
    """Whatever the order of pushes (positive bursts) and pops (negative ones), items leave in the order they came."""
    ring, model = Ready(), deque[Runnable]()
    for burst in bursts:
        for _ in range(burst):
            item = Runnable()
            ring.push(item)
            model.append(item)
        for _ in range(min(-burst, len(model))):
            assert ring.pop() is model.popleft()
        assert len(ring) == len(model)
    assert [id(item) for item in ring.snapshot()] == [id(item) for item in model]


@given(st.integers(0, 63), st.integers(64, 300))
def test_growing_keeps_the_order_wherever_the_head_stands(head: int, count: int) -> None:
    """A ring that grows while its items wrap around its end keeps them in order."""
    ring = Ready()
    for _ in range(head):
        ring.push(Runnable())
        ring.pop()
    items = [Runnable() for _ in range(count)]
    for item in items:
        ring.push(item)
    assert [id(ring.pop()) for _ in range(count)] == [id(item) for item in items]


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 700))
def test_pouring_is_pushing_one_by_one(before: int, popped: int, count: int) -> None:
    """A list that is poured into the ring leaves it behind what stood there, in its order, and is empty then."""
    ring, model = Ready(), deque[Runnable]()
    for _ in range(before):
        model.append(Runnable())
        ring.push(model[-1])
    for _ in range(min(before, popped)):
        assert ring.pop() is model.popleft()
    items = [Runnable() for _ in range(count)]
    model.extend(items)
    ring.pour(items)
    assert items == []
    assert len(ring) == len(model)
    assert [id(ring.pop()) for _ in range(len(ring))] == [id(item) for item in model]


@given(st.integers(0, 300))
def test_clear_empties_and_the_ring_can_be_used_again(count: int) -> None:
    """After clear() nothing is left, and what is pushed then comes out."""
    ring = Ready()
    for _ in range(count):
        ring.push(Runnable())
    ring.clear()
    assert len(ring) == 0
    assert ring.snapshot() == []
    item = Runnable()
    ring.push(item)
    assert ring.pop() is item


def test_one_item_may_stand_in_the_ring_twice() -> None:
    """The ring does not care who stands in it: a callback that is ready twice runs twice."""
    ring, item = Ready(), Runnable()
    ring.push(item)
    ring.push(item)
    assert len(ring) == 2
    assert ring.pop() is ring.pop() is item


def test_a_popped_item_is_let_go() -> None:
    """The ring holds no reference to what has left it."""

    class Weak:
        pass

    class Loop:
        def get_debug(self) -> bool:
            return False

    ring, argument = Ready(), Weak()
    gone = weakref.ref(argument)
    ring.push(Handle(print, (argument,), Loop()))
    ring.pop()
    del argument
    gc.collect()
    assert gone() is None
