"""Many children at once, and much output: the loop goes on, and nothing is lost or left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.children import linux, nothing_left, python
from tests.unit.loops import OURS

pytestmark = [pytest.mark.slow, linux]

CHILDREN = 2000
AT_ONCE = 50
SECONDS = 60.0
#: A child is started in less than a millisecond; a machine that does other things may take its time.
LAG = 1.0
OUTPUT = 100 * 2**20


@asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """Ticks every ten milliseconds meanwhile; gives how late each tick was, in seconds."""
    loop = asyncio.get_running_loop()
    lags: list[float] = []

    async def tick() -> None:
        while True:
            due = loop.time() + 0.01
            await asyncio.sleep(0.01)
            lags.append(loop.time() - due)

    task = asyncio.create_task(tick())
    try:
        yield lags
    finally:
        task.cancel()


def run(factory: Any, main: Any) -> Any:
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


@pytest.mark.parametrize("factory", OURS)
def test_two_thousand_children_within_a_minute(factory: Any) -> None:
    """Each ends with its own exit code and says its own word, while the loop keeps ticking; nothing is left of them."""

    async def child(number: int, places: asyncio.Semaphore) -> tuple[int | None, bytes]:
        async with places:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", f"echo {number}; exit {number % 256}", stdout=asyncio.subprocess.PIPE
            )
            output, _ = await process.communicate()
            return process.returncode, output

    async def main() -> tuple[list[tuple[int | None, bytes]], list[float], float]:
        loop = asyncio.get_running_loop()
        places = asyncio.Semaphore(AT_ONCE)
        begun = loop.time()
        async with nothing_left(), ticking() as lags:
            ends = await asyncio.gather(*(child(number, places) for number in range(CHILDREN)))
        return ends, lags, loop.time() - begun

    ends, lags, seconds = run(factory, main())
    print(f"{CHILDREN} children in {seconds:.1f} s, {len(lags)} ticks, the latest {max(lags) * 1e3:.1f} ms late")
    assert ends == [(number % 256, b"%d\n" % number) for number in range(CHILDREN)]
    assert seconds < SECONDS
    assert sorted(lags)[-4] < LAG  # The machine may have stopped this process, but not again and again.


@pytest.mark.parametrize("factory", OURS)
def test_children_that_are_killed(factory: Any) -> None:
    """Five hundred running at once are all killed, and each is reported with the signal."""

    async def main() -> set[int]:
        async with nothing_left():
            processes = [await asyncio.create_subprocess_exec("sleep", "600") for _ in range(500)]
            for process in processes:
                process.kill()
            return set(await asyncio.gather(*(process.wait() for process in processes)))

    assert run(factory, main()) == {-9}


@pytest.mark.parametrize("factory", OURS)
def test_hundred_megabytes_through_pipes(factory: Any) -> None:
    """What goes in at one end comes out at the other, while the loop keeps ticking."""
    piece = bytes(range(256)) * 4096

    async def feed(writer: asyncio.StreamWriter) -> None:
        for _ in range(OUTPUT // len(piece)):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def main() -> tuple[int, int | None, list[float]]:
        process = await asyncio.create_subprocess_exec(
            "cat", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        async with ticking() as lags:
            feeding = asyncio.create_task(feed(process.stdin))
            size = 0
            while data := await process.stdout.read(1 << 20):
                offset = size % 256
                assert data[:64] == piece[offset : offset + len(data[:64])]
                size += len(data)
            await feeding
        return size, await process.wait(), lags

    size, returncode, lags = run(factory, main())
    assert (size, returncode) == (OUTPUT, 0)
    assert sorted(lags)[-4] < LAG  # The machine may have stopped this process, but not again and again.


@pytest.mark.parametrize("factory", OURS)
def test_hundred_megabytes_communicated(factory: Any) -> None:
    """`communicate` collects output of any size."""
    code = f"import sys\nfor _ in range({OUTPUT >> 20}): sys.stdout.buffer.write(b'x' * (1 << 20))"

    async def main() -> tuple[int, int | None]:
        process = await asyncio.create_subprocess_exec(*python(code), stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        return len(output), process.returncode

    assert run(factory, main()) == (OUTPUT, 0)
