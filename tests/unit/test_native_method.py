"""Calls of methods inside a context: the compiled module and its Python twin behave as one.

Each test runs against the ``.py`` file, loaded by its path, and against the module that the package uses.
"""

from __future__ import annotations

import contextvars
import gc
import sys
import weakref
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hocket.native import method
from tests.unit.test_native_twins import by_path

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


def functions_of(module: ModuleType) -> SimpleNamespace:
    names = ("call_method", "copy_of", "is_plain")
    return SimpleNamespace(**{name: getattr(module, f"python_{name}", None) or getattr(module, name) for name in names})


either = pytest.mark.parametrize(
    "native", [functions_of(by_path("method")), functions_of(method)], ids=["python", "package"]
)


class Receiver:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def hear(self, what: Any) -> str:
        self.heard.append((what, variable.get()))
        return "heard"

    def fail(self, what: Any) -> None:
        raise ValueError(what)


def inside() -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(variable.set, "inside")
    return context


@either
def test_calls_in_the_context(native: Any) -> None:
    """The method gets the argument and sees the context's variables; what it returns comes back."""
    receiver = Receiver()
    assert native.call_method(receiver, "hear", b"data", inside()) == "heard"
    assert receiver.heard == [(b"data", "inside")]
    assert variable.get() == "outside"


@either
def test_looks_the_method_up_in_each_call(native: Any) -> None:
    """A method that was put on the object itself is the one that is called."""
    receiver, heard = Receiver(), []
    receiver.hear = heard.append  # type: ignore[assignment,method-assign]
    native.call_method(receiver, "hear", 1, inside())
    assert heard == [1]


@either
@pytest.mark.parametrize(("name", "error"), [("fail", ValueError), ("absent", AttributeError)])
def test_lets_errors_out_and_leaves_the_context(native: Any, name: str, error: type[Exception]) -> None:
    """What the method raises comes through, and the context can be entered again."""
    context = inside()
    with pytest.raises(error):
        native.call_method(Receiver(), name, "argument", context)
    assert variable.get() == "outside"
    assert context.run(variable.get) == "inside"


@either
def test_a_context_that_is_entered_already(native: Any) -> None:
    """It cannot be entered twice, and the method is not called."""
    context, receiver = inside(), Receiver()
    with pytest.raises(RuntimeError, match="already entered"):
        context.run(native.call_method, receiver, "hear", 1, context)
    assert receiver.heard == []


@either
def test_keeps_nothing(native: Any) -> None:
    """Neither the receiver nor the argument is held when the call is over, also if it failed."""
    for name in ("hear", "fail"):
        receiver = Receiver()
        gone = weakref.ref(receiver)
        try:
            native.call_method(receiver, name, 1, inside())
        except ValueError:
            pass
        del receiver
        assert gone() is None
    argument = object()
    before = sys.getrefcount(argument)
    native.call_method(Receiver(), "hear", argument, inside())
    gc.collect()
    assert sys.getrefcount(argument) == before


@either
def test_a_copy_of_a_context(native: Any) -> None:
    """It starts with the same values and goes its own way."""
    context = inside()
    copy = native.copy_of(context)
    copy.run(variable.set, "copy")
    assert (context.run(variable.get), copy.run(variable.get)) == ("inside", "copy")


@either
def test_plain_until_an_attribute_is_set(native: Any) -> None:
    """An object without attributes of its own, or that cannot have any, is plain; and again when they are gone."""

    class Empty:
        pass

    assert native.is_plain(Empty()) and native.is_plain(object()) and native.is_plain(5)
    candidate: Any = Empty()
    candidate.attribute = 1
    assert not native.is_plain(candidate)
    del candidate.attribute
    assert native.is_plain(candidate)
