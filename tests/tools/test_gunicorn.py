"""gunicorn's workers that run a loop: uvicorn's, aiohttp's and its own."""

from __future__ import annotations

import signal
import time

import pytest

from tests.ports import free_port

from .applications import AIOHTTP, ASGI
from .workplace import Server, ToolWorkplace

TOOL = "gunicorn"
PACKAGES = ("gunicorn", "uvicorn", "uvicorn-worker", "aiohttp")

INSTALL = "import hocket\nhocket.install()\n"
WORKER = """
from {module} import UvicornWorker

class HocketWorker(UvicornWorker):
    CONFIG_KWARGS = {{**UvicornWorker.CONFIG_KWARGS, "loop": "hocket:new_event_loop"}}
"""


def serve(workplace: ToolWorkplace, application: str, *options: str, configuration: str = "") -> tuple[Server, str]:
    workplace.write("gunicorn.conf.py", configuration)
    port = free_port()
    arguments = ("--bind", f"127.0.0.1:{port}", "--workers", "2", "--no-control-socket", *options)
    return workplace.start("-m", "gunicorn", application, *arguments), f"http://127.0.0.1:{port}"


def check(server: Server, url: str) -> None:
    found = server.get(url)
    assert found["loop"] == "hocket.loop"
    assert found["pid"] != server.process.pid
    assert server.stop(signal.SIGTERM) == 0, server.said
    assert "Traceback" not in server.said


@pytest.mark.parametrize("module", ["uvicorn_worker", "uvicorn.workers"])
def test_uvicorn_worker(workplace: ToolWorkplace, module: str) -> None:
    """A subclass of UvicornWorker that names hocket's loop."""
    workplace.write("application.py", ASGI)
    workplace.write("workers.py", WORKER.format(module=module))
    check(*serve(workplace, "application:app", "--worker-class", "workers.HocketWorker"))


def test_aiohttp_worker(workplace: ToolWorkplace) -> None:
    """hocket.install() in gunicorn.conf.py puts aiohttp's worker on hocket; workers are forked after it."""
    workplace.write("application.py", AIOHTTP)
    check(
        *serve(
            workplace,
            "application:application",
            "--worker-class",
            "aiohttp.GunicornWebWorker",
            configuration=INSTALL,
        )
    )


def test_gunicorns_own_asgi_worker(workplace: ToolWorkplace) -> None:
    """hocket.install() in gunicorn.conf.py, with --asgi-loop asyncio so that gunicorn does not name uvloop's."""
    workplace.write("application.py", ASGI)
    options = ("--worker-class", "asgi", "--asgi-loop", "asyncio")
    check(*serve(workplace, "application:app", *options, configuration=INSTALL))


def test_reload_of_workers(workplace: ToolWorkplace) -> None:
    """SIGHUP replaces the workers by new ones, which run on hocket too."""
    workplace.write("application.py", ASGI)
    workplace.write("workers.py", WORKER.format(module="uvicorn_worker"))
    server, url = serve(workplace, "application:app", "--worker-class", "workers.HocketWorker")
    before = {server.get(url)["pid"] for _ in range(10)}
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 30
    while (found := server.get(url))["pid"] in before:
        assert time.monotonic() < deadline, server.said
        time.sleep(0.1)
    assert found["loop"] == "hocket.loop"
    assert server.stop(signal.SIGTERM) == 0
