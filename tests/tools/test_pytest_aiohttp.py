"""pytest-aiohttp's client and server fixtures on hocket's loop."""

from __future__ import annotations

from .workplace import ToolWorkplace, succeeded

TOOL = "pytest-aiohttp"
PACKAGES = ("pytest-aiohttp", "aiohttp")


def test_client_fixture(workplace: ToolWorkplace) -> None:
    """aiohttp_client starts the application on a hocket loop and talks to it."""
    workplace.write(
        "conftest.py",
        """
        import pytest, hocket

        @pytest.fixture(scope="session")
        def event_loop_policy():
            return hocket.EventLoopPolicy()
        """,
    )
    workplace.write(
        "test_it.py",
        """
        import asyncio, hocket
        from aiohttp import web

        async def loop_of_handler(request):
            return web.json_response({"loop": type(asyncio.get_running_loop()).__module__})

        async def test_get(aiohttp_client):
            application = web.Application()
            application.router.add_get("/", loop_of_handler)
            client = await aiohttp_client(application)
            answer = await client.get("/")
            assert await answer.json() == {"loop": "hocket.loop"}
        """,
    )
    ended = workplace.python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:ddtrace", "-o", "asyncio_mode=auto"
    )
    assert "1 passed" in succeeded(ended)
