"""HTTP hello-world, as frameworks serve it: aiohttp, and uvicorn with Starlette."""

from __future__ import annotations

import asyncio
import logging
import socket
from types import SimpleNamespace
from typing import Any

from bench.case import Echo, Load

HELLO = b"Hello, world!"
LOADS = {"50": Load(50, len(HELLO))}


async def serve_aiohttp(size: int, api: Any) -> Any:
    from aiohttp import web

    async def hello(request: web.Request) -> web.Response:
        return web.Response(body=HELLO)

    application = web.Application()
    application.router.add_get("/", hello)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    address = listener.getsockname()  # before the loop has it, which may keep it to itself
    await web.SockSite(runner, listener).start()
    return SimpleNamespace(address=address, runner=runner)


async def serve_uvicorn(size: int, api: Any) -> Any:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(HELLO)

    application = Starlette(routes=[Route("/", hello)])
    config = uvicorn.Config(application, log_level=logging.ERROR, access_log=False, lifespan="off", http="httptools")
    config.load()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    address = listener.getsockname()
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    return SimpleNamespace(address=address, serving=serving)


CASES = (
    Echo(
        "http_aiohttp",
        "HTTP hello-world, aiohttp, kept connections",
        serve_aiohttp,
        LOADS,
        generator="echo_load_http",
        floor_program=None,
        packages=("aiohttp",),
    ),
    Echo(
        "http_uvicorn",
        "HTTP hello-world, uvicorn with httptools and Starlette, kept connections",
        serve_uvicorn,
        LOADS,
        generator="echo_load_http",
        floor_program=None,
        packages=("uvicorn", "starlette", "httptools"),
    ),
)
