"""A FastAPI service with a budget of 500 ms a request, in front of a slow, failing one: ``gateway.py UPSTREAM_PORT``.

It prints its port, and at the end how many requests it has begun and answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from fastapi import FastAPI, HTTPException

import hocket
from hocket import propagate, serving

UPSTREAM = f"http://127.0.0.1:{sys.argv[1]}"
#: An attempt that has less than this is not begun.
NEEDS = 0.03
count = {"begun": 0, "answered": 0, "fallbacks": 0, "attempts": 0}


async def absolute(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
    """For the test alone: the moment at which nobody waits any more, by the clock of this machine."""
    request.headers["X-Test-Deadline"] = str(time.monotonic() + hocket.remaining())
    return await handler(request)  # type: ignore[no-any-return]


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    middlewares = [propagate.aiohttp_client.deadlines(needs=NEEDS), absolute]
    async with aiohttp.ClientSession(UPSTREAM, middlewares=middlewares) as app.state.session:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/price/{number}")
async def price(number: int) -> dict[str, object]:
    """Two attempts of 200 ms; if both fail, the old price."""
    for _ in range(2):
        count["attempts"] += 1
        try:
            with hocket.budget(0.2):
                async with app.state.session.get(f"/price/{number}") as response:
                    response.raise_for_status()
                    return await response.json()  # type: ignore[no-any-return]
        except (aiohttp.ClientError, hocket.BudgetExceeded):
            continue
    count["fallbacks"] += 1
    return {"price": 41, "old": True}


@app.get("/patient")
async def patient() -> dict[str, object]:
    """As long as it takes: the budget of the request ends it."""
    try:
        async with app.state.session.get("/price/0") as response:
            return await response.json()  # type: ignore[no-any-return]
    except aiohttp.ClientError as error:
        raise HTTPException(502) from error


@app.get("/stubborn")
async def stubborn() -> dict[str, object]:
    """Cleans up for a second, whoever waits."""
    try:
        await asyncio.sleep(30)
    finally:
        with hocket.CancelScope(shield=True):
            await asyncio.sleep(1)
    return {}


class Counted:
    """Counts what was begun and what was answered, outside of all."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def note(message: Any) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                count["answered"] += 1

        count["begun"] += 1
        await self.app(scope, receive, note)


app.add_middleware(propagate.asgi.Deadlines, budget=0.5)
app.add_middleware(Counted)

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
    print(listener.getsockname()[1], flush=True)
    main = serving.uvicorn.main(app, sockets=[listener], log_level="warning", access_log=False)
    code = hocket.serve(main, drain=10, linger=5)
    print(json.dumps(count), flush=True)
    sys.exit(code)
