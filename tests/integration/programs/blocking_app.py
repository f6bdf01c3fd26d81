"""An aiohttp application that can be asked to block its loop, in five ways.  Prints its port."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

from aiohttp import web

BALLAST: list[Any] = []


async def fine(request: web.Request) -> web.Response:
    return web.Response(text="fine")


async def sleeps(request: web.Request) -> web.Response:
    time.sleep(1)
    return web.Response(text="slept")


async def computes(request: web.Request) -> web.Response:
    until = time.thread_time() + 1
    count = 0
    while time.thread_time() < until:
        for _ in range(10_000):  # Nearly all of the time is not the clock's.
            count += 1
    return web.Response(text=str(count))


async def calls(request: web.Request) -> web.Response:
    total = sum(range(60_000_000))
    return web.Response(text=str(total))


async def collects(request: web.Request) -> web.Response:
    for _ in range(8):  # One takes a tenth of a second here, and half a second there.
        gc.collect()
    return web.Response(text="collected")


async def prepare(request: web.Request) -> web.Response:
    gc.disable()
    for _ in range(40):
        BALLAST.extend([[BALLAST] for _ in range(50_000)])
        await asyncio.sleep(0)
    return web.Response(text="prepared")


def hog() -> None:
    sum(range(60_000_000))


async def hogged(request: web.Request) -> web.Response:
    thread = threading.Thread(target=hog, name="hog")
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.01)
    return web.Response(text="hogged")


async def main() -> None:
    app = web.Application()
    for handler in (fine, sleeps, computes, calls, prepare, collects, hogged):
        app.router.add_get(f"/{handler.__name__}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)  # type: ignore[union-attr]
    await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main())
