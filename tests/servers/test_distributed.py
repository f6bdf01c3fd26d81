"""Dask's distributed: scheduler, workers and client, by tornado on hocket's loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from .installed import package
from .running import run

dask = package("dask")
distributed = package("distributed")


@pytest.fixture(autouse=True)
def settings(tmp_path: Path) -> Any:
    with dask.config.set({"temporary-directory": str(tmp_path), "distributed.admin.log-format": "%(message)s"}):
        yield


def square(number: int) -> int:
    return number * number


def loop_of_the_scheduler(dask_scheduler: Any) -> str:
    return type(asyncio.get_running_loop()).__module__


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
def test_client(processes: bool) -> None:
    """Futures, ``gather`` and ``as_completed`` of a client, a scheduler and workers (also as processes)."""

    async def main() -> None:
        async with distributed.LocalCluster(
            asynchronous=True, processes=processes, n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster:
            async with distributed.Client(cluster, asynchronous=True) as client:
                assert await client.run_on_scheduler(loop_of_the_scheduler) == "hocket.loop"
                futures = client.map(square, range(100))
                assert await client.gather(futures) == [number * number for number in range(100)]
                assert await client.submit(sum, futures) == 328_350
                done = [await future async for future in distributed.as_completed(client.map(square, range(100, 110)))]
                assert sorted(done) == [number * number for number in range(100, 110)]

    run(main)


def test_failures_and_cancellation() -> None:
    """What a task raises is raised where it is awaited; a cancelled future says so."""

    async def main() -> None:
        async with distributed.Client(
            asynchronous=True, processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None
        ) as client:
            with pytest.raises(ZeroDivisionError):
                await client.submit(lambda: 1 / 0)
            nowhere = client.submit(square, 2, resources={"a worker that nobody has": 1})
            waiting = client.submit(square, nowhere)
            await waiting.cancel()
            assert waiting.cancelled()
            assert await client.submit(square, 3) == 9

    run(main)
