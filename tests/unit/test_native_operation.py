"""`hocket.native.operation`, `hocket.native.deques` and their Python twins: one behaviour, whichever is asked.

Each test runs against the ``.py`` file, loaded by its path, and against the module that the package uses.
"""

from __future__ import annotations

import collections
import gc
import warnings
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from hocket.native import deques, operation

from .test_native_twins import TWINS, by_path


def operations(module: Any) -> SimpleNamespace:
    given = getattr(module, "python_given", None) or module.given
    return SimpleNamespace(Operation=module.Operation, Pause=module.Pause, given=given)


def ends(module: Any) -> SimpleNamespace:
    names = ("append", "is_deque", "popleft", "size")
    return SimpleNamespace(**{name: getattr(module, f"python_{name}", None) or getattr(module, name) for name in names})


either = pytest.mark.parametrize("native", [operations(by_path("operation")), operations(operation)], ids=TWINS)
either_ends = pytest.mark.parametrize("native", [ends(by_path("deques")), ends(deques)], ids=TWINS)


def drive(awaitable: Any) -> tuple[list[Any], Any]:
    """What a coroutine that awaits it yields, and what the await gives."""

    async def outer() -> Any:
        return await awaitable

    coroutine = outer()
    yielded = []
    while True:
        try:
            yielded.append(coroutine.send(None))
        except StopIteration as stop:
            return yielded, stop.value


@either
def test_pause_yields_once(native: Any) -> None:
    """A bare yield, and then it is over with None."""
    assert drive(native.Pause()) == ([None], None)


@either
@pytest.mark.parametrize("value", [None, 1, (), (1, 2), ValueError("value"), StopIteration(3)])
def test_given_is_over_at_once_with_its_value(native: Any, value: Any) -> None:
    """Values of every kind come through, tuples and exceptions too."""
    yielded, result = drive(native.given(value))
    assert yielded == []
    assert result is value


@either
def test_given_by_hand_ends_with_its_value(native: Any) -> None:
    """next() and send() end with StopIteration, which has the value also among its arguments."""
    for step in (next, lambda iterator: iterator.send(None)):
        with pytest.raises(StopIteration) as ended:
            step(native.given("tea").__await__())
        assert ended.value.value == "tea"
        assert ended.value.args == ("tea",)


@either
def test_each_end_with_true_stands_for_itself(native: Any) -> None:
    """Whoever keeps the StopIteration, or writes into it, does not see it again elsewhere."""
    ends = []
    for number in range(3):
        with pytest.raises(StopIteration) as ended:
            next(native.given(True))
        assert ended.value.value is True
        assert not hasattr(ended.value, "number")
        ended.value.number = number  # type: ignore[attr-defined]
        ended.value.value = number
        ends.append(ended.value)
    assert [end.value for end in ends] == [0, 1, 2]
    del ended, ends
    assert drive(native.given(True)) == ([], True)


@either
def test_a_plain_operation_is_over_at_once_and_only_once(native: Any) -> None:
    """Its second await is refused."""
    plain = native.Operation()
    assert drive(plain) == ([], None)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        drive(plain)


@either
@pytest.mark.parametrize("name", ["Operation", "Pause"])
def test_each_that_is_never_awaited_warns(native: Any, name: str) -> None:
    """Also those whose memory has been used before."""
    for _ in range(3):
        with pytest.warns(RuntimeWarning, match="was never awaited"):
            getattr(native, name)()


@either
def test_given_does_not_have_to_be_awaited(native: Any) -> None:
    """What it stands for has been done already."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        native.given(None)
        native.given(1)
        gc.collect()


@either
@pytest.mark.parametrize("name", ["Operation", "Pause"])
def test_throw_ends_it(native: Any, name: str) -> None:
    """The exception comes out, by instance, by class and by class and value; and then it is over."""
    for thrown in ((KeyError("key"),), (KeyError,), (KeyError, "key"), (KeyError, KeyError("key"), None)):
        awaitable = getattr(native, name)()
        with pytest.raises(KeyError):
            awaitable.throw(*thrown)
        with pytest.raises(RuntimeError, match="cannot reuse"):
            awaitable.send(None)


@either
@pytest.mark.parametrize("name", ["Operation", "Pause"])
def test_close_ends_it(native: Any, name: str) -> None:
    """It can be closed twice, and not be awaited any more."""
    awaitable = getattr(native, name)()
    awaitable.close()
    awaitable.close()
    with pytest.raises(RuntimeError, match="cannot reuse"):
        awaitable.send(None)


@either
def test_what_it_gives_is_let_go(native: Any) -> None:
    """Nothing keeps a result once the operation has gone."""

    class Result:
        pass

    value = Result()
    reference = weakref.ref(value)
    drive(native.given(value))
    del value
    gc.collect()
    assert reference() is None


@either
def test_can_be_referred_to_weakly(native: Any) -> None:
    """As a coroutine can; the reference dies with it."""
    plain = native.Operation()
    reference = weakref.ref(plain)
    plain.close()
    del plain
    gc.collect()
    assert reference() is None


@either_ends
def test_deques_are_served_at_both_ends(native: Any) -> None:
    """append() at the right, popleft() at the left, and the size in between."""
    queue: Any = collections.deque()
    for item in ("a", "b"):
        native.append(queue, item)
    assert native.size(queue) == 2
    assert native.popleft(queue) == "a"
    assert list(queue) == ["b"]


@either_ends
def test_a_bound_of_the_deque_holds(native: Any) -> None:
    """append() to one that is full drops what is first, as the method does."""
    queue: Any = collections.deque([1, 2], maxlen=2)
    native.append(queue, 3)
    assert list(queue) == [2, 3]


@either_ends
def test_popleft_of_an_empty_deque_raises(native: Any) -> None:
    """IndexError, as the method does."""
    with pytest.raises(IndexError):
        native.popleft(collections.deque())


@either_ends
def test_only_deques_pass_for_deques(native: Any) -> None:
    """Subclasses may have methods of their own."""

    class Own(collections.deque[Any]):
        pass

    assert native.is_deque(collections.deque())
    assert not native.is_deque(Own())
    assert not native.is_deque([])
