"""The turns of a loop that runs, one after another, and who may take part in them."""

from __future__ import annotations

import asyncio
import functools
import signal
import sys
import threading
from typing import Any

import pytest

import hocket
from hocket.core import asyncio_private
from hocket.loop import EventLoop


def test_a_subclass_that_overrides_the_turn_has_every_turn() -> None:
    """Tools that watch a loop by its `_run_once` see all turns."""

    class Watched(EventLoop):
        seen = 0

        def _run_once(self) -> None:
            self.seen += 1
            super()._run_once()

    loop = Watched()
    try:
        loop.run_until_complete(asyncio.sleep(0.001))
        before = loop.turns
        loop.run_until_complete(asyncio.sleep(0))
        assert loop.seen == loop.turns > before
    finally:
        loop.close()


def test_an_instance_whose_turn_was_replaced_has_every_turn() -> None:
    """So do those who put a function of theirs on the loop itself."""
    loop = hocket.new_event_loop()
    turn, seen = loop._run_once, 0

    def watched() -> None:
        nonlocal seen
        seen += 1
        turn()

    loop._run_once = watched  # type: ignore[method-assign]
    try:
        loop.run_until_complete(asyncio.sleep(0.001))
        assert seen == loop.turns
    finally:
        loop.close()


def test_a_turn_inside_of_a_callback_is_one_turn() -> None:
    """Who turns the loop by hand from a callback gets control back after one turn."""
    loop = hocket.new_event_loop()
    order: list[str] = []

    def inside() -> None:
        loop.call_soon(order.append, "nested")
        loop.call_soon(loop.call_soon, order.append, "later")
        loop._run_once()
        order.append("inside")
        loop.call_soon(loop.stop)

    loop.call_soon(inside)
    try:
        loop.run_forever()
        assert order[:2] == ["nested", "inside"]
        loop.run_until_complete(asyncio.sleep(0))
        assert order == ["nested", "inside", "later"]
    finally:
        loop.close()


def test_a_turn_by_hand_before_the_loop_runs() -> None:
    """`_run_once` of a loop that does not run is one turn, and running works afterwards."""
    loop = hocket.new_event_loop()
    ran: list[int] = []
    try:
        loop.call_soon(ran.append, 1)
        loop._run_once()
        assert ran == [1]
        assert loop.run_until_complete(asyncio.sleep(0, 2)) == 2
        loop.call_soon(ran.append, 3)
        loop._run_once()
        assert ran == [1, 3]
    finally:
        loop.close()


def test_stop_before_running_polls_once() -> None:
    """One turn, as asyncio documents."""
    loop = hocket.new_event_loop()
    ran: list[int] = []
    try:
        loop.call_soon(ran.append, 1)
        loop.stop()
        loop.run_forever()
        assert (ran, loop.turns) == ([1], 1)
    finally:
        loop.close()


def test_threads_and_signals_reach_a_loop_that_runs_no_python_code() -> None:
    """A thread gets the interpreter, the handler runs, and what it raises ends the loop, if all callbacks are C too."""

    class Arrived(KeyboardInterrupt):
        pass

    def handler(number: int, frame: Any) -> None:
        raise Arrived

    loop = hocket.new_event_loop()
    # An object that is called, and calls call_soon() with itself, without a line of Python.
    again: Any = functools.partial(loop.call_soon)
    again.__setstate__((loop.call_soon, (again,), {}, {}))
    previous = signal.signal(signal.SIGUSR1, handler)
    killer = threading.Timer(0.1, signal.raise_signal, (signal.SIGUSR1,))
    try:
        again()
        loop.call_soon(killer.start)
        loop.call_later(60, loop.stop)
        with pytest.raises(Arrived):
            loop.run_forever()
    finally:
        killer.join()
        signal.signal(signal.SIGUSR1, previous)
        loop.close()


def test_the_timer_of_a_sleep_tells_what_it_is() -> None:
    """Who looks at the timers of a loop sees asyncio's callback and its arguments."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        timer = loop.call_later(60, asyncio_private.set_result_unless_cancelled, future, "value")
        shown = "<Future pending>, 'value'"
        assert repr(timer).startswith("<TimerHandle when=")
        # From Python 3.13 on arguments show in debug mode only.
        assert f"_set_result_unless_cancelled({'' if sys.version_info >= (3, 13) else shown})" in repr(timer)
        assert isinstance(timer, asyncio.TimerHandle)
        timer.cancel()
        assert "cancelled" in repr(timer)
        assert not loop._scheduled  # type: ignore[attr-defined]

    hocket.run(main())


def test_a_future_that_a_timer_finds_done_is_reported() -> None:
    """As with asyncio: the callback fails, unless the future was cancelled."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        reports: list[str] = []
        loop.set_exception_handler(lambda _, report: reports.append(type(report["exception"]).__name__))
        cancelled, done = loop.create_future(), loop.create_future()
        for future in cancelled, done:
            loop.call_later(0.001, asyncio_private.set_result_unless_cancelled, future, 1)
        cancelled.cancel()
        done.set_result(2)
        await asyncio.sleep(0.01)
        return reports

    assert hocket.run(main()) == ["InvalidStateError"]
