"""Starlette's and FastAPI's TestClient on hocket's loop."""

from __future__ import annotations

import pytest

from .workplace import ToolWorkplace, succeeded

TOOL = "Starlette/FastAPI TestClient"
PACKAGES = ("starlette", "fastapi", "httpx")


#: What to write: before the client, and among its arguments.
WAYS = {
    "backend_options": ("", ", backend_options={'loop_factory': hocket.new_event_loop}"),
    "install": ("hocket.install()", ""),
}


@pytest.mark.parametrize("way", WAYS)
def test_client(workplace: ToolWorkplace, way: str) -> None:
    """Requests, lifespan, background tasks and WebSockets are served on a hocket loop."""
    before, argument = WAYS[way]
    path = workplace.write(
        "program.py",
        f"""
        import asyncio, contextlib
        import hocket
        from fastapi import BackgroundTasks, FastAPI, WebSocket
        from starlette.testclient import TestClient

        happened = []
        {before}

        @contextlib.asynccontextmanager
        async def lifespan(app):
            happened.append("start")
            yield
            happened.append("stop")

        app = FastAPI(lifespan=lifespan)

        @app.get("/")
        async def index(background: BackgroundTasks):
            background.add_task(happened.append, "background")
            return {{"loop": type(asyncio.get_running_loop()).__module__}}

        @app.websocket("/ws")
        async def echo(websocket: WebSocket):
            await websocket.accept()
            await websocket.send_text((await websocket.receive_text()).upper())
            await websocket.close()

        with TestClient(app{argument}) as client:
            assert client.get("/").json() == {{"loop": "hocket.loop"}}
            with client.websocket_connect("/ws") as socket:
                socket.send_text("hocket")
                assert socket.receive_text() == "HOCKET"
        assert happened == ["start", "background", "stop"], happened
        """,
    )
    succeeded(workplace.python(str(path)))
