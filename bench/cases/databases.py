"""Clients of databases: PostgreSQL through asyncpg, Redis through redis-py. The server runs on the core of the load.

Ten connections each ask one question after another. What the driver does in Python is the larger part of a query: the
ratios are what a program would gain.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from bench.case import InProcess

CONNECTIONS = 10
ROWS = 10
VALUE = bytes(range(256)) * 4


def address(name: str) -> tuple[str, int]:
    host, _, port = os.environ[f"HOCKET_BENCH_{name}"].rpartition(":")
    return host, int(port)


async def query_postgres(queries: int, api: Any) -> None:
    import asyncpg

    host, port = address("POSTGRES")
    text = "SELECT i, 'item ' || i FROM generate_series($1::int, $2::int) AS i"

    async def ask(first: int) -> None:
        connection = await asyncpg.connect(host=host, port=port, user="postgres", database="postgres", ssl=False)
        try:
            for start in range(first, first + queries // CONNECTIONS):
                rows = await connection.fetch(text, start, start + ROWS - 1)
                if [tuple(row) for row in rows] != [(i, f"item {i}") for i in range(start, start + ROWS)]:
                    raise RuntimeError(f"PostgreSQL answered {rows!r}")
        finally:
            await connection.close()

    await asyncio.gather(*[ask(1_000_000 * number) for number in range(CONNECTIONS)])


async def ask_redis(commands: int, api: Any) -> None:
    import redis.asyncio

    host, port = address("REDIS")

    async def ask(key: str) -> None:
        async with redis.asyncio.Redis(host=host, port=port, single_connection_client=True) as client:
            for number in range(commands // CONNECTIONS // 2):
                value = VALUE + b"%d" % number
                if not await client.set(key, value) or await client.get(key) != value:
                    raise RuntimeError("Redis answered something else")

    await asyncio.gather(*[ask(f"bench:{number}") for number in range(CONNECTIONS)])


CASES = (
    InProcess(
        "postgres",
        "SELECT of ten rows through asyncpg, ten connections",
        "query",
        query_postgres,
        count=2_000,
        quick_count=20,
        network=True,
        packages=("asyncpg",),
        server="postgres",
    ),
    InProcess(
        "redis",
        "SET and GET of 1 KiB through redis-py, ten connections",
        "command",
        ask_redis,
        count=3_000,
        quick_count=40,
        network=True,
        packages=("redis",),
        server="redis",
    ),
)
