"""uvicorn's ways to be given a loop, its worker processes, reload, WebSockets and graceful end."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest

from tests.ports import free_port

from .applications import ASGI
from .workplace import Server, ToolWorkplace

TOOL = "uvicorn"
PACKAGES = ("uvicorn", "websockets")


def serve(workplace: ToolWorkplace, *options: str, command: tuple[str, ...] = ("-m", "uvicorn")) -> tuple[Server, str]:
    workplace.write("application.py", ASGI)
    port = free_port()
    server = workplace.start(*command, "application:app", "--port", str(port), *options)
    return server, f"http://127.0.0.1:{port}"


WAYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "--loop": (("-m", "uvicorn"), ("--loop", "hocket:new_event_loop")),
    "hocket run": (("-m", "hocket", "run", "-m", "uvicorn"), ("--loop", "none")),
}


@pytest.mark.parametrize("way", WAYS)
def test_command(workplace: ToolWorkplace, way: str) -> None:
    """--loop hocket:new_event_loop, or `hocket run` with --loop none, serves on hocket; SIGTERM ends it in order."""
    command, options = WAYS[way]
    server, url = serve(workplace, *options, command=command)
    assert server.get(url)["loop"] == "hocket.loop"
    assert server.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
    assert "shut down by hocket.loop" in server.said
    assert "Traceback" not in server.said


def test_loop_auto_names_its_own(workplace: ToolWorkplace) -> None:
    """Without --loop, uvicorn names a loop itself, uvloop's if installed: not hocket's, even under `hocket run`."""
    server, url = serve(workplace, command=("-m", "hocket", "run", "-m", "uvicorn"))
    assert server.get(url)["loop"] != "hocket.loop"
    server.stop()


def test_graceful_shutdown(workplace: ToolWorkplace) -> None:
    """A request under way is answered before SIGTERM ends the server."""
    server, url = serve(workplace, "--loop", "hocket:new_event_loop")
    server.get(url)
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(server.get(url + "/slow")))
    asking.start()
    server.wait_until_said("slow request")
    server.stop(signal.SIGTERM)
    asking.join()
    assert answers[0]["loop"] == "hocket.loop"


def test_workers(workplace: ToolWorkplace) -> None:
    """Worker processes make hocket loops each, and end with their parent."""
    server, url = serve(workplace, "--loop", "hocket:new_event_loop", "--workers", "2")
    found = server.get(url)
    assert found["loop"] == "hocket.loop"
    assert found["pid"] != server.process.pid
    deadline = time.monotonic() + 30
    while server.said.count("Application startup complete.") < 2:  # uvicorn ends one that is not up without a word
        assert time.monotonic() < deadline, server.said
        time.sleep(0.05)
    server.stop(signal.SIGTERM)
    assert server.said.count("shut down by hocket.loop") == 2


def test_reload(workplace: ToolWorkplace) -> None:
    """--reload starts a changed application anew, again on hocket."""
    server, url = serve(workplace, "--loop", "hocket:new_event_loop", "--reload", "--reload-delay", "0.1")
    first = server.get(url)
    deadline = time.monotonic() + 30
    written = 0.0
    while (second := server.get(url))["pid"] == first["pid"]:
        assert time.monotonic() < deadline, server.said
        time.sleep(0.3)
        # The reloader compares times of modification, of which it must have seen the first.
        if time.monotonic() > written + 3:
            workplace.write("application.py", ASGI + "\n# changed\n")
            written = time.monotonic()
    assert second["loop"] == "hocket.loop"
    server.stop(signal.SIGTERM)


def test_websockets(workplace: ToolWorkplace) -> None:
    """A WebSocket of the websockets library is echoed."""
    from websockets.sync.client import connect

    server, url = serve(workplace, "--loop", "hocket:new_event_loop")
    server.get(url)
    with connect(url.replace("http", "ws")) as socket:
        socket.send("hocket")
        assert socket.recv() == "HOCKET"
    server.stop()


def test_server_in_a_program_of_ones_own(workplace: ToolWorkplace) -> None:
    """hocket.run(Server.serve()), for a program that runs more than uvicorn."""
    workplace.write("application.py", ASGI)
    workplace.write(
        "program.py",
        """
        import sys
        import hocket, uvicorn
        hocket.run(uvicorn.Server(uvicorn.Config("application:app", port=int(sys.argv[1]))).serve())
        """,
    )
    port = free_port()
    server = workplace.start("program.py", str(port))
    assert server.get(f"http://127.0.0.1:{port}")["loop"] == "hocket.loop"
    server.stop()
