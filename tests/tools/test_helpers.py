"""Small libraries that many programs use: queues, consoles, caches, progress bars, schedulers, async-timeout."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

import hocket

from .workplace import ToolWorkplace, succeeded

TOOL = "janus, aioconsole, aiocache, aiojobs, tqdm, aiodebug, async-timeout, aiofiles"
PACKAGES = ("janus", "aioconsole", "aiocache", "aiojobs", "tqdm", "aiodebug", "async-timeout", "aiofiles")


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return hocket.run(asyncio.wait_for(main, 20))


def test_janus() -> None:
    """A janus queue carries items between a thread and tasks, both ways, and closes."""
    import janus

    async def main() -> list[int]:
        forth: janus.Queue[int] = janus.Queue(maxsize=2)
        back: janus.Queue[int] = janus.Queue()

        def work() -> None:
            for _ in range(10):
                back.sync_q.put(forth.sync_q.get(timeout=10) * 2)

        worker = asyncio.create_task(asyncio.to_thread(work))
        found = []
        for number in range(10):
            await forth.async_q.put(number)
            found.append(await back.async_q.get())
        await worker
        await forth.aclose()
        await back.aclose()
        return found

    assert run(main()) == [2 * number for number in range(10)]


def test_aioconsole(workplace: ToolWorkplace) -> None:
    """aioconsole reads standard input without blocking other tasks."""
    path = workplace.write(
        "program.py",
        """
        import asyncio
        import aioconsole, hocket

        async def main():
            ticking = asyncio.create_task(asyncio.sleep(0))
            name = await aioconsole.ainput("who? ")
            await ticking
            await aioconsole.aprint("hello", name)

        hocket.run(main())
        """,
    )
    assert succeeded(workplace.python(str(path), stdin="world\n")) == "who? hello world\n"


def test_aiocache() -> None:
    """Results are cached, and forgotten after their time to live, a timer of the loop's."""
    from aiocache import Cache, cached

    calls: list[int] = []

    @cached(ttl=1, cache=Cache.MEMORY)
    async def double(number: int) -> int:
        calls.append(number)
        return number * 2

    async def main() -> list[int]:
        found = [await double(2), await double(2)]
        await asyncio.sleep(1.1)
        return [*found, await double(2)]

    assert run(main()) == [4, 4, 4]
    assert calls == [2, 2]


def test_aiojobs() -> None:
    """A scheduler of aiojobs limits, waits for and closes its jobs."""
    import aiojobs

    async def main() -> list[Any]:
        async with aiojobs.Scheduler(limit=2) as scheduler:
            jobs = [await scheduler.spawn(asyncio.sleep(0.01, number)) for number in range(4)]
            found = [await job.wait() for job in jobs]
            forever = await scheduler.spawn(asyncio.sleep(60))
            await forever.close()
        return [*found, forever.closed]

    assert run(main()) == [0, 1, 2, 3, True]


def test_tqdm() -> None:
    """tqdm.asyncio's gather and as_completed."""
    import io

    from tqdm.asyncio import tqdm

    async def main() -> tuple[list[int], list[int]]:
        naps = [asyncio.sleep(0.01 * number, number) for number in range(3)]
        gathered = await tqdm.gather(*naps, file=io.StringIO())
        naps = [asyncio.sleep(0.01 * number, number) for number in range(3)]
        completed = [await nap for nap in tqdm.as_completed(naps, file=io.StringIO())]
        return gathered, sorted(completed)

    assert run(main()) == ([0, 1, 2], [0, 1, 2])


def test_async_timeout() -> None:
    """async-timeout, which older libraries use, cancels and turns that into TimeoutError."""
    import async_timeout

    async def main() -> str:
        try:
            async with async_timeout.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            return "timeout"
        return ""

    assert run(main()) == "timeout"


def test_aiofiles(workplace: ToolWorkplace) -> None:
    """aiofiles reads and writes in the loop's executor."""
    import aiofiles

    async def main() -> str:
        path = workplace.directory / "file"
        async with aiofiles.open(path, "w") as file:
            await file.write("one\ntwo\n")
        async with aiofiles.open(path) as file:
            return ",".join([line.strip() async for line in file])

    assert run(main()) == "one,two"


def test_aiodebug_slow_callbacks(workplace: ToolWorkplace) -> None:
    """aiodebug patches asyncio's Handle._run, which hocket does not call: nothing is reported, and nothing breaks."""
    path = workplace.write(
        "program.py",
        """
        import asyncio, time
        import aiodebug.log_slow_callbacks
        import hocket

        reported = []
        aiodebug.log_slow_callbacks.enable(0.05, on_slow_callback=lambda name, duration: reported.append(name))

        async def main():
            time.sleep(0.1)
            await asyncio.sleep(0)

        hocket.run(main())
        print(len(reported))
        """,
    )
    assert succeeded(workplace.python(str(path))) == "0\n"


def test_slow_callbacks_in_debug_mode_instead(workplace: ToolWorkplace) -> None:
    """asyncio's own debug mode reports what aiodebug would."""
    path = workplace.write(
        "program.py",
        """
        import asyncio, time
        import hocket

        async def main():
            asyncio.get_running_loop().slow_callback_duration = 0.05
            time.sleep(0.1)

        hocket.run(main())
        """,
    )
    ended = workplace.python(str(path), flags=("-X", "dev"))
    took = re.search(r"main\(\).* took (\d+\.\d+) seconds", ended.stderr)
    assert took is not None and float(took[1]) >= 0.1, ended.stderr
