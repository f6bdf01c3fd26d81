"""Hypercorn, which names asyncio's, uvloop's or trio's loop, on hocket."""

from __future__ import annotations

import signal

from tests.ports import free_port

from .applications import ASGI
from .workplace import ToolWorkplace

TOOL = "Hypercorn"
PACKAGES = ("hypercorn",)


def test_install_in_the_application(workplace: ToolWorkplace) -> None:
    """hocket.install() in the application's module: Hypercorn imports it before it makes the loop."""
    workplace.write("application.py", "import hocket\nhocket.install()\n" + ASGI)
    port = free_port()
    server = workplace.start(
        "-m", "hypercorn", "--worker-class", "asyncio", "--bind", f"127.0.0.1:{port}", "application:app"
    )
    assert server.get(f"http://127.0.0.1:{port}")["loop"] == "hocket.loop"
    assert server.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
    assert "shut down by hocket.loop" in server.said


def test_hocket_run(workplace: ToolWorkplace) -> None:
    """`hocket run -m hypercorn --workers 0`: without worker processes, which Hypercorn starts as new interpreters."""
    workplace.write("application.py", ASGI)
    port = free_port()
    server = workplace.start(
        *("-m", "hocket", "run", "-m", "hypercorn", "--workers", "0"),
        *("--bind", f"127.0.0.1:{port}", "application:app"),
    )
    assert server.get(f"http://127.0.0.1:{port}")["loop"] == "hocket.loop"
    server.stop(signal.SIGTERM)
    assert "shut down by hocket.loop" in server.said


def test_serve_in_a_program_of_ones_own(workplace: ToolWorkplace) -> None:
    """hocket.run(serve(app, config)), Hypercorn's documented way for programs."""
    workplace.write("application.py", ASGI)
    workplace.write(
        "program.py",
        """
        import sys
        import hocket
        from application import app
        from hypercorn.asyncio import serve
        from hypercorn.config import Config

        config = Config()
        config.bind = [f"127.0.0.1:{sys.argv[1]}"]
        hocket.run(serve(app, config))
        """,
    )
    port = free_port()
    server = workplace.start("program.py", str(port))
    assert server.get(f"http://127.0.0.1:{port}")["loop"] == "hocket.loop"
    server.stop(signal.SIGTERM)
    assert "shut down by hocket.loop" in server.said
