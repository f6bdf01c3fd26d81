"""The clock that decides which timers are due: the driver's, unless somebody has put in another."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import pytest

import hocket

from .loops import OURS, run


@pytest.mark.parametrize("factory", OURS, ids=lambda factory: factory.__name__)
def test_a_clock_that_a_test_puts_in_decides_which_timers_are_due(factory: Any) -> None:
    """Test suites control time by patching ``loop.time``."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        called: list[float] = []
        with mock.patch.object(loop, "time") as clock:
            clock.return_value = start
            loop.call_later(5.0, called.append, 1)
            await asyncio.sleep(0)
            assert called == []
            clock.return_value = start + 5.0
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert called == [1]
        assert start <= loop.time() <= loop._driver.time()

    run(factory, main())


def test_a_subclass_may_have_a_clock_of_its_own() -> None:
    class Slow(hocket.EventLoop):
        def time(self) -> float:
            return 5.0 + 0.0 * super().time()

    loop = Slow()
    try:
        assert loop.time() == 5.0
        assert loop.call_later(2.0, int).when() == 7.0
    finally:
        loop.close()


def test_a_timer_says_what_it_was_given() -> None:
    loop = hocket.new_event_loop()
    try:
        whole, part = loop.call_at(10, int), loop.call_at(10.5, int)
        assert (repr(whole.when()), repr(part.when())) == ("10", "10.5")
        assert "when=10 " in repr(whole)
        assert (repr(whole._when), repr(part._when)) == ("10", "10.5")
    finally:
        loop.close()


def test_a_clock_that_fails_is_seen() -> None:
    loop = hocket.new_event_loop()
    try:
        loop.call_later(0.0, int)
        loop.time = mock.Mock(side_effect=ZeroDivisionError("no clock"))
        with pytest.raises(ZeroDivisionError, match="no clock"):
            loop.call_later(1.0, int)
        with pytest.raises(ZeroDivisionError, match="no clock"):
            loop.run_forever()
        del loop.time
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
