"""The applications that the servers of these tests serve."""

#: An ASGI application without a framework: which loop, which process; and a WebSocket echo.  ``/slow`` takes a moment.
ASGI = """
import asyncio, json, os, sys

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                print("shut down by", type(asyncio.get_running_loop()).__module__, flush=True)
                return
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"].upper()})
    else:
        if scope["path"] == "/slow":
            print("slow request", flush=True)
            await asyncio.sleep(0.5)
        loop = type(asyncio.get_running_loop())
        body = json.dumps({"loop": loop.__module__, "pid": os.getpid()}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
"""

#: The same question for aiohttp.
AIOHTTP = """
import asyncio, os
from aiohttp import web

async def index(request):
    return web.json_response({"loop": type(asyncio.get_running_loop()).__module__, "pid": os.getpid()})

async def application():
    made = web.Application()
    made.router.add_get("/", index)
    return made
"""
