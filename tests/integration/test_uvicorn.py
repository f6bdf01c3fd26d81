"""uvicorn on hocket, however it is told so: on its command line, in its configuration, or by ``hocket run``."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from tests.ports import free_port

from .processes import start

WAYS = {
    "command line": ["-m", "uvicorn", "--loop", "hocket:new_event_loop", "--log-level", "warning"],
    "hocket run": ["-m", "hocket", "run", "-m", "uvicorn", "--loop", "none", "--log-level", "warning"],
}


def get(port: int, path: str, server: subprocess.Popen[str]) -> object:
    """Fetch `path` as soon as the server answers; fail if it ends before or takes longer than 30 seconds."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
                return json.load(response)
        except urllib.error.URLError:
            if server.poll() is not None or time.monotonic() > deadline:
                errors = stop(server)[2]
                raise AssertionError(f"the server does not answer; its stderr ends: {errors[-2000:]}") from None
            time.sleep(0.05)


def stop(server: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Stop the server by Ctrl-C, which ends its workers too; return its exit code and what it printed."""
    server.send_signal(signal.SIGINT)
    try:
        output, errors = server.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()
        raise
    return server.returncode, output, errors


@pytest.mark.parametrize("way", WAYS)
def test_command(way: str) -> None:
    """The server started by a command answers on a hocket loop, and stops at Ctrl-C as under python."""
    port = free_port()
    with start(*WAYS[way], "--port", str(port), "fastapi_uvicorn:app") as server:
        assert get(port, "/loop", server) == "hocket"
        assert get(port, "/sync/7", server) == {"number": 7, "main": False}
        code, output, errors = stop(server)
    assert code in (0, -signal.SIGINT)
    assert (output, "Traceback" in errors) == ("", False)


def test_configuration() -> None:
    """``Config(loop="hocket:new_event_loop")`` with ``Server.run()`` serves on a hocket loop."""
    port = free_port()
    with start("uvicorn_config.py", str(port), "hocket:new_event_loop") as server:
        assert get(port, "/loop", server) == "hocket"
        assert stop(server)[0] in (0, -signal.SIGINT)


def test_two_workers() -> None:
    """Worker processes of uvicorn's own each make the loop that the command line names."""
    port = free_port()
    with start(*WAYS["command line"], "--workers", "2", "--port", str(port), "fastapi_uvicorn:app") as server:
        assert get(port, "/loop", server) == "hocket"
        assert stop(server)[0] in (0, -signal.SIGINT)
