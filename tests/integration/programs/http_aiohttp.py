"""An aiohttp server and client: many requests at once, streams both ways, a websocket, errors and timeouts."""

import asyncio
import hashlib

import aiohttp
from aiohttp import web
from results import show

MEGABYTE = bytes(range(256)) * 4096


async def square(request: web.Request) -> web.Response:
    number = int(request.match_info["number"])
    await asyncio.sleep(0.01 * (number % 3))
    return web.json_response({"square": number * number})


async def upload(request: web.Request) -> web.Response:
    digest = hashlib.sha256()
    async for chunk in request.content.iter_chunked(65536):
        digest.update(chunk)
    return web.Response(text=digest.hexdigest())


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(4):
        await response.write(MEGABYTE)
    await response.write_eof()
    return response


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data.upper())
    return socket


async def hang(request: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def fail(request: web.Request) -> web.Response:
    raise web.HTTPConflict


async def serve() -> tuple[web.AppRunner, str]:
    app = web.Application(client_max_size=2**26)
    app.router.add_get("/square/{number}", square)
    app.router.add_post("/upload", upload)
    app.router.add_get("/stream", stream)
    app.router.add_get("/echo", echo)
    app.router.add_get("/hang", hang)
    app.router.add_get("/fail", fail)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    return runner, f"http://127.0.0.1:{port}"


async def main() -> None:
    runner, base = await serve()
    async with aiohttp.ClientSession(base) as session:

        async def get_square(number: int) -> int:
            async with session.get(f"/square/{number}") as response:
                return (await response.json())["square"]

        squares = await asyncio.gather(*map(get_square, range(200)))

        async def parts():
            for _ in range(4):
                yield MEGABYTE

        async with session.post("/upload", data=parts()) as response:
            uploaded = await response.text() == hashlib.sha256(4 * MEGABYTE).hexdigest()
        async with session.get("/stream") as response:
            streamed = await response.read() == 4 * MEGABYTE
        async with session.ws_connect("/echo") as socket:
            echoed = []
            for word in ("one", "two", "x" * 100_000):
                await socket.send_str(word)
                echoed.append(await socket.receive_str())
        try:
            async with session.get("/hang", timeout=aiohttp.ClientTimeout(total=0.1)):
                timed_out = False
        except TimeoutError:
            timed_out = True
        async with session.get("/fail") as response:
            status = response.status
    await runner.cleanup()
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(base):
                refused = False
        except aiohttp.ClientConnectorError:
            refused = True
    show(
        squares=squares == [n * n for n in range(200)],
        uploaded=uploaded,
        streamed=streamed,
        echoed=echoed == ["ONE", "TWO", "X" * 100_000],
        timed_out=timed_out,
        status=status,
        refused_after_shutdown=refused,
    )


if __name__ == "__main__":
    asyncio.run(main())
