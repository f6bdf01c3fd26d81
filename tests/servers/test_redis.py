"""redis-py's asyncio client against Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .daemons import HOST, Redis
from .installed import package
from .running import run

redis = package("redis.asyncio", "redis")


@pytest.fixture(params=["tcp", "unix"])
def url(request: pytest.FixtureRequest, redis_server: Redis) -> str:
    if request.param == "unix":
        return f"unix://{redis_server.socket}"
    return f"redis://{HOST}:{redis_server.port}"


@contextlib.asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[Any]:
    async with redis.Redis.from_url(url, decode_responses=True, **options) as client:
        yield client


def test_many_tasks(url: str) -> None:
    """200 tasks count through 20 connections, and no increment is lost."""

    async def main() -> None:
        pool = redis.BlockingConnectionPool.from_url(url, max_connections=20, timeout=30)
        async with redis.Redis.from_pool(pool) as client:
            await client.delete("counter")

            async def count() -> None:
                for _ in range(10):
                    await client.incr("counter")

            await asyncio.gather(*(count() for _ in range(200)))
            assert await client.get("counter") == b"2000"

    run(main)


def test_pipeline(url: str) -> None:
    """A thousand commands go out together, and their answers come in order."""

    async def main() -> None:
        async with connected(url) as client:
            async with client.pipeline(transaction=True) as pipeline:
                for number in range(1000):
                    pipeline.set(f"key-{number}", "v" * number).strlen(f"key-{number}")
                answers = await pipeline.execute()
            assert answers[1::2] == list(range(1000))

    run(main)


def test_large_value(url: str) -> None:
    """10 MB go there and back unchanged."""

    async def main() -> None:
        async with connected(url) as client:
            value = "0123456789abcdef" * 655_360
            await client.set("large", value)
            assert await client.get("large") == value
            await client.delete("large")

    run(main)


def test_publish_and_subscribe(url: str) -> None:
    """Messages reach subscribers in order, also by pattern."""

    async def main() -> None:
        async with connected(url) as client, client.pubsub() as subscriber:
            await subscriber.subscribe("news")
            await subscriber.psubscribe("new?")
            for _ in range(2):
                assert (await subscriber.get_message(timeout=10))["type"] in ("subscribe", "psubscribe")
            for number in range(100):
                assert await client.publish("news", number) == 2
            heard = [await subscriber.get_message(timeout=10) for _ in range(200)]
            for kind in ("message", "pmessage"):
                assert [m["data"] for m in heard if m["type"] == kind] == [str(number) for number in range(100)]

    run(main)


def test_blocking_pop(url: str) -> None:
    """BLPOP returns what is pushed while it waits, and nothing after its timeout."""

    async def main() -> None:
        async with connected(url) as client:
            pop = asyncio.create_task(client.blpop("queue", timeout=20))
            await asyncio.sleep(0.05)
            await client.rpush("queue", "pushed")
            assert list(await pop) == ["queue", "pushed"]
            started = time.monotonic()
            assert await client.blpop("queue", timeout=0.2) is None
            assert time.monotonic() - started >= 0.2

    run(main)


def test_cancelled_pop(url: str) -> None:
    """Cancelling a task that waits in BLPOP leaves the client usable and takes nothing from the queue."""

    async def main() -> None:
        async with connected(url) as client:
            pop = asyncio.create_task(client.blpop("cancelled", timeout=20))
            await asyncio.sleep(0.05)
            pop.cancel()
            with pytest.raises(asyncio.CancelledError):
                await pop
            await client.rpush("cancelled", "kept")
            assert await client.lpop("cancelled") == "kept"

    run(main)


def test_reconnects_after_the_server_was_killed(redis_server: Redis, url: str) -> None:
    """A command under way fails when the server is killed, and the same client works when it is back."""

    async def main() -> None:
        async with connected(url, retry=None) as client:
            pop = asyncio.create_task(client.blpop("nothing", timeout=20))
            await asyncio.sleep(0.05)
            await asyncio.to_thread(redis_server.kill)
            with pytest.raises(redis.ConnectionError):
                await pop
            with pytest.raises(redis.ConnectionError):
                await client.ping()
            await asyncio.to_thread(redis_server.start)
            assert await client.ping()

    run(main)
