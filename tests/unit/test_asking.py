"""How often the loop asks its driver, while there is always something to run."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import Any

import pytest

import hocket
from hocket.drivers.selector import SelectorDriver


class Counting(SelectorDriver):
    polls = 0

    def poll(self, timeout: float, ready: Any) -> None:
        Counting.polls += 1
        super().poll(timeout, ready)


async def chain(steps: int) -> int:
    """How often the driver is asked while *steps* callbacks each schedule the next."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def step(left: int) -> None:
        if left:
            loop.call_soon(step, left - 1)
        else:
            done.set_result(Counting.polls)

    before = Counting.polls
    step(steps)
    return int(await done) - before


def test_without_descriptors_it_asks_now_and_then() -> None:
    """There is nothing to be told but that somebody wakes the loop, whose inbox it looks into anyway."""
    with asyncio.Runner(loop_factory=lambda: hocket.new_event_loop(driver=Counting())) as runner:
        assert 320 // 33 <= runner.run(chain(320)) <= 20


def test_with_a_descriptor_it_asks_in_every_turn() -> None:
    """Who awaits `asyncio.sleep(0)` to let data come gets what has come."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            loop.add_reader(ours, lambda: None)
            try:
                return await chain(100)
            finally:
                loop.remove_reader(ours)

    with asyncio.Runner(loop_factory=lambda: hocket.new_event_loop(driver=Counting())) as runner:
        assert runner.run(main()) >= 100


@pytest.mark.parametrize("driver", ["epoll", "selector"])
def test_signals_and_other_threads_are_heard_by_a_busy_loop(driver: str) -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        heard: list[str] = []
        loop.add_signal_handler(signal.SIGUSR1, heard.append, "signal")
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.to_thread(loop.call_soon_threadsafe, heard.append, "thread")
        left = 10_000
        while len(heard) < 2 and left:
            left -= 1
            await asyncio.sleep(0)
        loop.remove_signal_handler(signal.SIGUSR1)
        return sorted(heard)

    with asyncio.Runner(loop_factory=lambda: hocket.new_event_loop(driver=driver)) as runner:
        assert runner.run(main()) == ["signal", "thread"]
