"""asyncpg against PostgreSQL: it upgrades its connections to TLS itself, and cancels queries by further connections."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from .certificates import Authority
from .daemons import HOST, Postgres
from .installed import package
from .running import run

asyncpg = package("asyncpg")

Connect = Callable[[], Awaitable[Any]]

SLOW = "SELECT pg_sleep(30)"
LOST = (asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, ConnectionError)


@pytest.fixture(params=["plain", "tls"])
def options(request: pytest.FixtureRequest, postgres: Postgres, authority: Authority) -> dict[str, Any]:
    """What `asyncpg.connect` is to be given, without and with TLS."""
    return {
        "host": HOST,
        "port": postgres.port,
        "user": postgres.USER,
        "password": postgres.PASSWORD,
        "database": postgres.DATABASE,
        "ssl": authority.client() if request.param == "tls" else False,
    }


@contextlib.asynccontextmanager
async def connected(options: dict[str, Any]) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(**options)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


def test_encryption(options: dict[str, Any]) -> None:
    """The server says that the connection is encrypted, if that was asked for."""

    async def main() -> None:
        async with connected(options) as connection:
            encrypted = await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            assert encrypted is bool(options["ssl"])

    run(main)


def test_unix_socket(postgres: Postgres) -> None:
    """A connection through the server's Unix socket."""

    async def main() -> None:
        options = {"host": str(postgres.directory), "port": postgres.port, "user": postgres.USER}
        async with connected(options) as connection:
            assert await connection.fetchval("SELECT inet_client_addr()") is None

    run(main)


def test_prepared_statement(options: dict[str, Any]) -> None:
    """A prepared statement is executed many times, and its rows fetched through a cursor."""

    async def main() -> None:
        async with connected(options) as connection:
            statement = await connection.prepare("SELECT $1::int * $2::int")
            assert [await statement.fetchval(n, 2) for n in range(100)] == [2 * n for n in range(100)]
            async with connection.transaction():
                rows = connection.cursor("SELECT generate_series(1, $1::int)", 1000, prefetch=10)
                assert [row[0] async for row in rows] == list(range(1, 1001))

    run(main)


def test_pool(options: dict[str, Any]) -> None:
    """100 tasks share the ten connections of a pool."""

    async def main() -> None:
        async with asyncpg.create_pool(**options, min_size=1, max_size=10) as pool:

            async def ask(number: int) -> tuple[int, int]:
                async with pool.acquire() as connection:
                    row = await connection.fetchrow("SELECT $1::int, pg_backend_pid(), pg_sleep(0.005)", number)
                    return row[0], row[1]

            answers = await asyncio.gather(*(ask(number) for number in range(100)))
        assert [number for number, _ in answers] == list(range(100))
        assert len({backend for _, backend in answers}) == 10

    run(main)


def test_cancelled_query(options: dict[str, Any]) -> None:
    """Cancelling a task ends its query on the server too, and the connection goes on."""

    async def main() -> None:
        async with connected(options) as connection, connected(options) as observer:
            query = asyncio.create_task(connection.fetch(SLOW))
            await active(observer, SLOW, 1)
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert await connection.fetchval("SELECT 1") == 1
            await active(observer, SLOW, 0)

    run(main)


async def active(observer: Any, query: str, count: int) -> None:
    """Wait until the server runs *query* *count* times."""
    text = "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
    while await observer.fetchval(text, query) != count:
        await asyncio.sleep(0.01)


def test_timed_out_query(options: dict[str, Any]) -> None:
    """A query that takes longer than its timeout is called off, and the connection goes on."""

    async def main() -> None:
        async with connected(options) as connection:
            with pytest.raises(asyncio.TimeoutError):
                await connection.fetch(SLOW, timeout=0.1)
            assert await connection.fetchval("SELECT 1") == 1

    run(main)


def test_copy(options: dict[str, Any]) -> None:
    """20 MB are copied into a table and out again unchanged."""
    data = b"".join(b"%d\t%s\n" % (number, b"%08x" % (number * 2654435761 % 2**32) * 25) for number in range(100_000))
    assert len(data) > 20_000_000

    async def main() -> None:
        async with connected(options) as connection:
            await connection.execute("CREATE TEMPORARY TABLE copied (number int, text text)")
            source = io.BytesIO(data)
            assert await connection.copy_to_table("copied", source=source) == "COPY 100000"
            returned = bytearray()

            async def keep(chunk: bytes) -> None:
                returned.extend(chunk)

            assert await connection.copy_from_table("copied", output=keep) == "COPY 100000"
            assert returned == data

    run(main)


def test_listen_and_notify(options: dict[str, Any]) -> None:
    """Notifications arrive in order while the connection is idle."""

    async def main() -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()
        async with connected(options) as listener, connected(options) as speaker:
            await listener.add_listener("news", lambda *arguments: heard.put_nowait(arguments[3]))
            for number in range(50):
                await speaker.execute(f"NOTIFY news, '{number}'")
            assert [await heard.get() for _ in range(50)] == [str(number) for number in range(50)]

    run(main)


def kill_session(postgres: Postgres, session: int) -> None:
    postgres.kill_session(session)


def kill_server(postgres: Postgres, session: int) -> None:
    postgres.kill()


@pytest.mark.parametrize("kill", [kill_session, kill_server])
def test_killed_in_a_query(postgres: Postgres, options: dict[str, Any], kill: Callable[[Postgres, int], None]) -> None:
    """A query ends with an error when the server goes away; after it came back a pool has new connections."""

    async def main() -> None:
        async with asyncpg.create_pool(**options, min_size=1, max_size=2) as pool:
            async with pool.acquire() as connection:
                session = await connection.fetchval("SELECT pg_backend_pid()")
                query = asyncio.create_task(connection.fetch(SLOW))
                await asyncio.sleep(0.1)
                assert not query.done()
                await asyncio.to_thread(kill, postgres, session)
                with pytest.raises(LOST):
                    await query
            if postgres.process is None:
                await asyncio.to_thread(postgres.start)
            while True:  # the pool may still hold another that has ended with it
                with contextlib.suppress(asyncpg.CannotConnectNowError, *LOST):
                    async with pool.acquire() as connection:
                        assert await connection.fetchval("SELECT pg_backend_pid()") != session
                        break
                await asyncio.sleep(0.05)

    run(main)
