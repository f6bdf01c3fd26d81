"""aiohttp's own runner of applications."""

from __future__ import annotations

import signal

import pytest

from tests.ports import free_port

from .applications import AIOHTTP
from .workplace import ToolWorkplace

TOOL = "aiohttp: web.run_app"
PACKAGES = ("aiohttp",)

WAYS = {
    "loop": "web.run_app(application(), port=int(sys.argv[1]), loop=hocket.new_event_loop())",
    "install": "hocket.install()\nweb.run_app(application(), port=int(sys.argv[1]))",
}


@pytest.mark.parametrize("way", WAYS)
def test_run_app(workplace: ToolWorkplace, way: str) -> None:
    """web.run_app(loop=hocket.new_event_loop()), or hocket.install() before it; SIGTERM ends it in order."""
    path = workplace.write("program.py", AIOHTTP + "\nimport sys\nimport hocket\n" + WAYS[way] + "\n")
    port = free_port()
    server = workplace.start(str(path), str(port))
    assert server.get(f"http://127.0.0.1:{port}/")["loop"] == "hocket.loop"
    assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.said
