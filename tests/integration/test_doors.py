"""The other doors into hocket: Runner, loop factories, Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable

import pytest

import hocket


async def current_loop() -> asyncio.AbstractEventLoop:
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


def test_asyncio_runner_with_loop_factory() -> None:
    """asyncio.Runner takes hocket.new_event_loop and runs several coroutines on the one loop it made."""
    with asyncio.Runner(loop_factory=hocket.new_event_loop) as runner:
        first, second = runner.run(current_loop()), runner.run(current_loop())
    assert isinstance(first, hocket.EventLoop)
    assert first is second
    assert first.is_closed()


def test_hocket_run() -> None:
    """hocket.run runs on a loop of its own and closes it."""
    loop = hocket.run(current_loop())
    assert isinstance(loop, hocket.EventLoop)
    assert loop.is_closed()


def test_hocket_runner() -> None:
    """hocket.Runner is asyncio.Runner with a hocket loop."""
    with hocket.Runner() as runner:
        assert isinstance(runner.run(current_loop()), hocket.EventLoop)


@pytest.mark.parametrize(
    "make_runner",
    [lambda: asyncio.Runner(loop_factory=hocket.new_event_loop), hocket.Runner],
    ids=["asyncio.Runner", "hocket.Runner"],
)
def test_control_c_in_a_runner(make_runner: Callable[[], asyncio.Runner]) -> None:
    """Ctrl-C cancels the main task, which cleans up, and comes out of run() as KeyboardInterrupt."""
    happened: list[str] = []

    async def main() -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            happened.append("cancelled")
            await asyncio.sleep(0)
            happened.append("cleaned up")
            raise

    with make_runner() as runner, pytest.raises(KeyboardInterrupt):
        runner.run(main())
    assert happened == ["cancelled", "cleaned up"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_control_c_interrupts_a_task_that_never_waits() -> None:
    """A second Ctrl-C interrupts at once, even a loop that is kept from turning by plain code."""
    started = threading.Event()

    def interrupt_twice() -> None:
        for _ in range(2 if started.wait(10) else 0):
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(0.2)

    async def main() -> None:
        started.set()
        for _ in range(300):
            threading.Event().wait(0.1)

    interrupting = threading.Thread(target=interrupt_twice)
    interrupting.start()
    try:
        with asyncio.Runner(loop_factory=hocket.new_event_loop) as runner, pytest.raises(KeyboardInterrupt):
            runner.run(main())
    finally:
        interrupting.join()


def test_loops_in_several_threads() -> None:
    """Each thread may run a loop of its own, at the same time."""
    barrier = threading.Barrier(4)
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        barrier.wait(30)  # all four loops run now
        await asyncio.sleep(0.01)
        loops.append(asyncio.get_running_loop())

    threads = [threading.Thread(target=lambda: hocket.run(main())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(map(id, loops))) == 4
