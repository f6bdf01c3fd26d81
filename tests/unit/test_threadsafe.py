"""call_soon_threadsafe(): in which context what another thread adds runs, and what of it is kept."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from typing import Any

import pytest

import hocket


def test_callbacks_of_one_thread_have_a_context_each(any_loop: Any) -> None:
    """Each runs in what was current when it was added, and sees nothing of what another one sets."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[tuple[str, str]] = []

    def callback() -> None:
        before = variable.get()
        variable.set("set by a callback")
        seen.append((before, variable.get()))

    def post() -> None:
        for value in ("one", "two"):
            any_loop.call_soon_threadsafe(callback)
            any_loop.call_soon_threadsafe(callback)
            variable.set(value)
        for _ in range(3):
            any_loop.call_soon_threadsafe(callback)
        any_loop.call_soon_threadsafe(any_loop.stop)

    thread = threading.Thread(target=post)
    thread.start()
    thread.join()
    any_loop.run_forever()
    expected = ["unset", "unset", "one", "one", "two", "two", "two"]
    assert seen == [(value, "set by a callback") for value in expected]


def test_the_context_of_a_threadsafe_handle_is_its_own() -> None:
    """get_context() gives one that is its own, before it runs, when it runs, and afterwards."""
    variable = contextvars.ContextVar("variable", default=0)
    loop = hocket.new_event_loop()
    try:
        handles = [loop.call_soon_threadsafe(variable.set, number) for number in range(3)]
        loop.call_soon_threadsafe(loop.stop)
        early = handles[1].get_context()
        early.run(variable.set, 7)
        assert [handle.get_context().get(variable, 0) for handle in handles] == [0, 7, 0]
        loop.run_forever()
        assert [handle.get_context()[variable] for handle in handles] == [0, 1, 2]
        assert handles[1].get_context() is early
        assert variable.get() == 0
    finally:
        loop.close()


@pytest.mark.parametrize("ends", ["runs", "is cancelled", "is closed"])
def test_what_a_context_holds_is_let_go_with_the_callbacks(ends: str) -> None:
    """Nothing of the context from which a thread called is kept by the loop."""

    class Held:
        pass

    variable: contextvars.ContextVar[Held] = contextvars.ContextVar("variable")
    loop = hocket.new_event_loop()
    gone: list[weakref.ref[Held]] = []

    def post() -> None:
        held = Held()
        gone.append(weakref.ref(held))
        variable.set(held)
        handles = [loop.call_soon_threadsafe(int) for _ in range(3)]
        if ends == "is cancelled":
            for handle in handles:
                handle.cancel()

    try:
        # A context of its own, also where threads take over that of their starter.
        thread = threading.Thread(target=contextvars.Context().run, args=(post,))
        thread.start()
        thread.join()
        if ends != "is closed":
            loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
    del thread
    gc.collect()
    assert gone[0]() is None
