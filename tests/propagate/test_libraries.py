"""Deadlines through real clients and servers: aiohttp and httpx ask, aiohttp answers, on this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web

import hocket
from hocket import propagate

Get = Callable[..., Awaitable[tuple[int, dict[str, str], bytes]]]


@contextlib.asynccontextmanager
async def aiohttp_client(**options: Any) -> AsyncIterator[Get]:
    async with aiohttp.ClientSession(middlewares=[propagate.aiohttp_client.deadlines(**options)]) as session:

        async def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
            async with session.get(url, headers=headers) as response:
                return response.status, dict(response.headers), await response.read()

        yield get


@contextlib.asynccontextmanager
async def httpx_client(**options: Any) -> AsyncIterator[Get]:
    async with httpx.AsyncClient(transport=propagate.httpx.DeadlineTransport(**options), trust_env=False) as client:

        async def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
            response = await client.get(url, headers=headers)
            return response.status_code, dict(response.headers), response.content

        yield get


EACH_CLIENT = pytest.mark.parametrize("client", [aiohttp_client, httpx_client])


class Server:
    """What it was asked, and where it is."""

    def __init__(self) -> None:
        self.url = ""
        self.told: list[str | None] = []
        self.begun = 0
        self.cancelled = 0

    async def tell(self, request: Any) -> Any:
        self.told.append(request.headers.get("X-Request-Timeout-Ms"))
        return web.Response(text=f"{hocket.remaining():.2f}")

    async def hang(self, request: Any) -> Any:
        self.begun += 1
        try:
            await asyncio.sleep(30)
        finally:
            self.cancelled += 1

    async def give_up(self, request: Any) -> Any:
        with hocket.move_on_after(0.01) as scope:
            await asyncio.sleep(30)
        return web.Response(text=f"{scope.cancelled_caught}")


@contextlib.asynccontextmanager
async def serving(*middlewares: Any) -> AsyncIterator[Server]:
    server = Server()
    app = web.Application(middlewares=middlewares)
    app.router.add_get("/tell", server.tell)
    app.router.add_get("/hang", server.hang)
    app.router.add_get("/give-up", server.give_up)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@EACH_CLIENT
def test_a_client_tells_what_is_left(client: Any) -> None:
    """Without what is kept back; and nothing where there is no deadline."""

    async def main() -> list[str | None]:
        async with serving() as server, client() as get:
            await get(f"{server.url}/tell")
            with hocket.budget(10, reserve=4):
                await get(f"{server.url}/tell")
            return server.told

    without, told = hocket.run(main())
    assert without is None and told is not None
    assert 3000 < int(told) <= 6000


async def hang_up(server: Server, get: Get) -> tuple[str, float]:
    """Ask for what never comes, with a second to wait: what is raised, and after how long."""
    with hocket.budget(20, reserve=19) as budget:
        with pytest.raises(hocket.BudgetExceeded) as caught:
            await get(f"{server.url}/hang")
        return str(caught.value), budget.spent()


@EACH_CLIENT
def test_a_client_stops_waiting(client: Any) -> None:
    """When its part of the budget is over, with what it has asked for."""

    async def main() -> tuple[str, float]:
        async with serving() as server, client() as get:
            return await hang_up(server, get)

    message, spent = hocket.run(main())
    assert "GET http://127.0.0.1" in message and "/hang" in message
    assert 0.9 < spent < 15


@EACH_CLIENT
def test_the_server_is_told_that_nobody_waits(client: Any) -> None:
    """The connection is closed."""

    async def main() -> int:
        async with serving() as server, client() as get:
            while not server.begun:  # On a busy machine the client may be gone before.
                await hang_up(server, get)
            end = asyncio.get_running_loop().time() + 20
            while not server.cancelled and asyncio.get_running_loop().time() < end:
                await asyncio.sleep(0.01)
            return server.cancelled

    assert hocket.run(main()) >= 1


@EACH_CLIENT
def test_a_client_does_not_begin_what_comes_too_late(client: Any) -> None:
    """The server sees nothing of it."""

    async def main() -> int:
        async with serving() as server, client(needs=30) as get:
            with pytest.raises(hocket.BudgetExceeded, match="no request is sent"), hocket.budget(20):
                await get(f"{server.url}/tell")
            return len(server.told)

    assert hocket.run(main()) == 0


def test_a_server_obeys_its_caller() -> None:
    """The handler knows what is left, is cancelled when it is over, and refused what comes too late."""

    async def main() -> list[Any]:
        async with serving(propagate.aiohttp_server.deadlines(20, needs=0.005)) as server, aiohttp_client() as get:
            found: list[Any] = []
            for path, timeout in (("/tell", "9000"), ("/tell", "90000"), ("/hang", "1000"), ("/tell", "3")):
                status, headers, body = await get(server.url + path, **{"X-Request-Timeout-Ms": timeout})
                found.append((status, headers.get("X-Request-Time-Left-Ms"), body))
            return [*found, len(server.told), server.cancelled]

    own, longer, slow, late, told, cancelled = hocket.run(main())
    assert own[0] == longer[0] == 200
    assert 8 < float(own[2]) <= 9 and 19 < float(longer[2]) <= 20
    assert slow[:2] == (504, "0") and b"not done within 1000 ms" in slow[2]
    assert late[:2] == (504, "3") and b"less than 5 ms" in late[2]
    assert (told, cancelled) == (2, 1)


def test_handlers_have_scopes() -> None:
    """With tasks of their own, whichever aiohttp makes; who hangs up cancels the handler in it."""

    async def main() -> tuple[bytes, bool]:
        async with serving(propagate.aiohttp_server.own_tasks) as server, aiohttp_client() as get:
            _, _, body = await get(f"{server.url}/give-up")
            while not server.begun:  # On a busy machine the client may be gone before.
                with hocket.move_on_after(0.5):
                    await get(f"{server.url}/hang")
            while not server.cancelled:
                await asyncio.sleep(0.01)
            return body, server.cancelled >= 1

    assert hocket.run(main()) == (b"True", True)


def test_a_server_has_a_fallback() -> None:
    """Which has the time that was kept back; one that is slow, too, is a 504."""

    async def quick(request: Any) -> Any:
        return web.Response(text="old")

    async def slow(request: Any) -> Any:
        await asyncio.sleep(30)

    async def main() -> list[tuple[int, bytes]]:
        found = []
        for fallback, most, reserve in ((quick, 20, 19), (slow, 1.5, 0.5)):
            deadlines = propagate.aiohttp_server.deadlines(most, reserve=reserve, fallback=fallback)
            async with serving(deadlines) as server, aiohttp_client() as get:
                status, _, body = await get(f"{server.url}/hang")
                found.append((status, body[:3]))
        return found

    assert hocket.run(main()) == [(200, b"old"), (504, b'{"d')]


def test_the_chain_ends_where_the_time_does() -> None:
    """Of three services one behind the other each is told less than the one before."""

    async def main() -> list[int]:
        deadlines = propagate.aiohttp_server.deadlines()
        async with serving() as last, aiohttp_client() as get:

            async def forward(request: Any) -> Any:
                last.told.append(request.headers["X-Request-Timeout-Ms"])
                await asyncio.sleep(0.02)
                with hocket.budget(30, reserve=0.1):
                    _, _, body = await get(f"{last.url}/tell")
                return web.Response(body=body)

            app = web.Application(middlewares=[deadlines])
            app.router.add_get("/", forward)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            try:
                with hocket.budget(20):
                    await get(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            finally:
                await runner.cleanup()
            return [int(told) for told in last.told if told is not None]

    first, second = hocket.run(main())
    assert first <= 20_000 and second <= first - 20


def test_options_that_make_no_sense_are_refused() -> None:
    """When they are given."""
    with pytest.raises(ValueError, match="reserve expected"):
        propagate.aiohttp_server.deadlines(1, reserve=2)
    with pytest.raises(TypeError, match="expected seconds"):
        propagate.aiohttp_server.deadlines("1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="http2"):
        propagate.httpx.DeadlineTransport(httpx.AsyncHTTPTransport(), http2=False)
