"""Virtual time, which other tests rely on (`tests/virtual.py`)."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hocket
from tests.virtual import Deadlock, TooLate, VirtualDriver, run


def test_hours_pass_in_no_time():
    """The clock jumps to the next timer, and nobody waits for real."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await hocket.sleep(3600)
        await asyncio.sleep(3600)
        return loop.time() - began

    before = time.monotonic()
    assert run(main()) == 7200.0
    assert time.monotonic() - before < 60


def test_small_steps_add_up():
    """A thousand times a hundredth of a second is ten seconds, exactly."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in range(1000):
            await asyncio.sleep(0.01)
        return loop.time() - began

    assert run(main()) == 10.0


@given(st.lists(st.integers(0, 10_000), max_size=20))
def test_timers_are_due_exactly_when_they_were_set_for(delays):
    """Every timer sees the time it asked for, in order of time and then of setting."""

    async def main() -> list[tuple[int, int]]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen: list[tuple[int, int]] = []
        for number, delay in enumerate(delays):
            loop.call_later(
                delay / 1000, lambda number=number: seen.append((round((loop.time() - began) * 1000), number))
            )
        await asyncio.sleep(11)
        return seen

    assert run(main()) == sorted((delay, number) for number, delay in enumerate(delays))


def test_the_clock_stands_still_while_something_is_ready():
    """Steps take no time, however many."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(1, lambda: None)
        began = loop.time()
        for _ in range(1000):
            await asyncio.sleep(0)
        return loop.time() - began

    assert run(main()) == 0.0


def test_a_step_can_take_time():
    """`advance` moves the clock within a step."""
    driver = VirtualDriver()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        driver.advance(2.5)
        return loop.time() - began

    assert run(main(), driver=driver) == 2.5


def test_who_waits_for_nothing_is_told():
    """A program that nothing can wake any more fails at once, and the tasks are named."""

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="main"):
        run(main(), driver=VirtualDriver(patience=0.05))


def test_a_program_that_goes_on_for_ever_is_ended():
    """More virtual time than was given is an error."""

    async def main() -> None:
        while True:
            await asyncio.sleep(60)

    with pytest.raises(TooLate):
        run(main(), driver=VirtualDriver(limit=3600))


def test_a_thread_wakes_the_loop():
    """What another thread does is waited for if there is nothing else to wait for."""

    async def main() -> int:
        return await asyncio.to_thread(lambda: 42)

    assert run(main()) == 42


def test_what_is_ready_comes_before_the_clock_moves():
    """Bytes that have arrived are read before a timeout can fire."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(4))
        await writer.drain()
        writer.close()

    async def main() -> bytes:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"ping")
            answer = await reader.readexactly(4)
            writer.close()
            await writer.wait_closed()
            return answer

    assert run(main()) == b"ping"


def test_an_unhandled_report_fails_the_test():
    """What reaches the exception handler is not lost."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="division"):
        run(main())
