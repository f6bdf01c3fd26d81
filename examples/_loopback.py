"""Web pages for the examples that fetch some: from this machine unless URLs are given on the command line.

``pages("example.com", "example.org")`` starts a small server on the loopback interface that has a page of each name,
and yields their URLs; nothing leaves the machine.  URLs given as arguments of the example take its place:

    hocket run examples/libraries/aiohttp_many_urls.py https://example.com https://example.org https://example.net
"""

import asyncio
import sys
from contextlib import asynccontextmanager

from aiohttp import web

LATENCY = 0.1  # seconds that each page takes


async def page(request):
    await asyncio.sleep(LATENCY)
    name = request.match_info["name"]
    if name == "missing.example":
        raise web.HTTPNotFound(text="there is no such page\n")
    return web.Response(text=f"<html><title>{name}</title></html>\n")


@asynccontextmanager
async def pages(*names):
    """Yield one URL for each name, served for the length of the block."""
    if sys.argv[1:]:
        given = sys.argv[1:]
        yield [given[i % len(given)] for i in range(len(names))]
        return
    app = web.Application()
    app.router.add_get("/{name}", page)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield [f"http://127.0.0.1:{port}/{name}" for name in names]
    finally:
        await runner.cleanup()
