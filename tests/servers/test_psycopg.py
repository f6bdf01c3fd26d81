"""psycopg 3's async connections against PostgreSQL: libpq opens and reads the socket, the loop only watches it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .certificates import Authority
from .daemons import HOST, Postgres
from .installed import package
from .running import run

psycopg = package("psycopg")

SLOW = "SELECT pg_sleep(30)"


@pytest.fixture(params=["disable", "verify-full"])
def options(request: pytest.FixtureRequest, postgres: Postgres, authority: Authority) -> dict[str, Any]:
    """What `psycopg.AsyncConnection.connect` is to be given, without and with TLS."""
    return {
        "host": HOST,
        "port": postgres.port,
        "user": postgres.USER,
        "password": postgres.PASSWORD,
        "dbname": postgres.DATABASE,
        "sslmode": request.param,
        "sslrootcert": str(authority.file),
        "autocommit": True,
    }


@contextlib.asynccontextmanager
async def connected(options: dict[str, Any]) -> AsyncIterator[Any]:
    connection = await psycopg.AsyncConnection.connect(**options)
    async with connection:
        yield connection


async def value(connection: Any, query: str, *arguments: Any) -> Any:
    cursor = await connection.execute(query, arguments)
    row = await cursor.fetchone()
    return row[0]


def test_query(options: dict[str, Any]) -> None:
    """Queries with arguments, on several connections at once."""

    async def ask(number: int) -> int:
        async with connected(options) as connection:
            return sum([await value(connection, "SELECT %s::int", number + step) for step in range(20)])

    async def main() -> None:
        answers = await asyncio.gather(*(ask(number) for number in range(10)))
        assert answers == [20 * number + 190 for number in range(10)]

    run(main)


def test_pipeline(options: dict[str, Any]) -> None:
    """Queries in a pipeline are sent without waiting for the answers to those before."""

    async def main() -> None:
        async with connected(options) as connection:
            async with connection.pipeline():
                cursors = [await connection.execute("SELECT %s::int", (number,)) for number in range(500)]
            assert [(await cursor.fetchone())[0] for cursor in cursors] == list(range(500))

    run(main)


def test_copy(options: dict[str, Any]) -> None:
    """Megabytes are copied into a table and out again unchanged."""
    rows = [(number, f"{number:x}" * 20) for number in range(20_000)]

    async def main() -> None:
        async with connected(options) as connection:
            await connection.execute("CREATE TEMPORARY TABLE copied (number int, text text)")
            async with connection.cursor() as cursor:
                async with cursor.copy("COPY copied FROM STDIN") as copy:
                    for row in rows:
                        await copy.write_row(row)
                async with cursor.copy("COPY copied TO STDOUT") as copy:
                    copy.set_types(["int4", "text"])
                    assert [row async for row in copy.rows()] == rows

    run(main)


def test_notifications(options: dict[str, Any]) -> None:
    """Notifications arrive in order."""

    async def main() -> None:
        async with connected(options) as listener, connected(options) as speaker:
            await listener.execute("LISTEN news")

            async def speak() -> None:
                for number in range(20):
                    await speaker.execute("SELECT pg_notify('news', %s)", (str(number),))

            speaking = asyncio.create_task(speak())
            heard = [note.payload async for note in listener.notifies(timeout=20, stop_after=20)]
            await speaking
            assert heard[:20] == [str(number) for number in range(20)]

    run(main)


def test_cancelled_query(options: dict[str, Any]) -> None:
    """Cancelling a task ends its query on the server too, and the connection goes on."""

    async def main() -> None:
        async with connected(options) as connection:
            query = asyncio.create_task(connection.execute(SLOW))
            await asyncio.sleep(0.1)
            query.cancel()
            with pytest.raises(asyncio.CancelledError):
                await query
            assert await value(connection, "SELECT 1") == 1

    run(main)


def test_killed_in_a_query(postgres: Postgres, options: dict[str, Any]) -> None:
    """A query ends with an error when the session is killed."""

    async def main() -> None:
        async with connected(options) as connection:
            session = connection.info.backend_pid
            query = asyncio.create_task(connection.execute(SLOW))
            await asyncio.sleep(0.1)
            await asyncio.to_thread(postgres.kill_session, session)
            with pytest.raises(psycopg.OperationalError):
                await query
            assert connection.broken
        async with connected(options):
            pass

    run(main)
