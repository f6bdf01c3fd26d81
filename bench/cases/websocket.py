"""WebSocket echo, as servers do it: the websockets library alone, and uvicorn with it under an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import socket
from types import SimpleNamespace
from typing import Any

from bench.case import Echo, Load, loads

LOADS = loads(Load(50, 1024))


async def serve_websockets(size: int, api: Any) -> Any:
    from websockets.asyncio.server import ServerConnection, serve

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    return await serve(echo, "127.0.0.1", 0, compression=None, backlog=1024)


async def serve_uvicorn(size: int, api: Any) -> Any:
    import uvicorn

    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})

    config = uvicorn.Config(
        application, log_level=logging.ERROR, access_log=False, lifespan="off", http="httptools", ws="websockets-sansio"
    )
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
        "ws_websockets",
        "WebSocket echo, the websockets library",
        serve_websockets,
        LOADS,
        generator="echo_load_websocket",
        floor_program=None,
        packages=("websockets",),
    ),
    Echo(
        "ws_uvicorn",
        "WebSocket echo, uvicorn with httptools and websockets (sans I/O), an ASGI application",
        serve_uvicorn,
        LOADS,
        generator="echo_load_websocket",
        floor_program=None,
        packages=("uvicorn", "httptools", "websockets"),
    ),
)
