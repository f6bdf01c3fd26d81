"""Programs written for asyncio give the same results on hocket, by every door into it.

Each program of ``programs/`` prints what it found out as JSON.  It runs under plain ``python`` too: what is expected
of hocket is what asyncio's own loop does.
"""

from __future__ import annotations

import json

import pytest

from .processes import start

DOORS = {
    "python": lambda program: [f"{program}.py"],
    "install": lambda program: ["installed.py", program],
    "run": lambda program: ["-m", "hocket", "run", f"{program}.py"],
    "run-selector": lambda program: ["-m", "hocket", "run", "--driver", "selector", f"{program}.py"],
}

EXPECTED: dict[str, dict[str, object]] = {
    "http_aiohttp": {
        "squares": True,
        "uploaded": True,
        "streamed": True,
        "echoed": True,
        "timed_out": True,
        "status": 409,
        "refused_after_shutdown": True,
    },
    "http_httpx": {
        "squares": True,
        "posted": 200,
        "received": 4 * 2**20,
        "timed_out": True,
        "refused_after_shutdown": True,
    },
    "fastapi_uvicorn": {
        "numbers": True,
        "in_threads": True,
        "item": {"name": "TEA", "price": 3.0},
        "invalid": 422,
        "events": ["startup", "shutdown"],
    },
    "websocket_chat": {
        "echoed": True,
        "large_came_back": True,
        "binary": True,
        "pinged": True,
        "broadcast": True,
        "closed": [4001, "as you wish"],
    },
    "subprocesses": {
        "large_output": True,
        "both_outputs": ["out\n", "err\n", 3],
        "killed": -9,
        "terminated": -15,
        "timed_out": True,
        "line_by_line": ["ONE", "TWO", "THREE"],
        "exit_codes": True,
        "missing": True,
    },
    "tls": {
        "echoed": True,
        "protocol": "hocket/1",
        "certificate": [["DNS", "localhost"]],
        "many": True,
        "stranger_refused": True,
        "other_name_refused": True,
        "upgraded": ["plain one\n", "secret two\n"],
    },
    "udp": {"talks": True, "large": True, "nobody_listens": "ConnectionRefusedError"},
    "signals": {
        "at_once": "SIGTERM",
        "while_idle": "SIGHUP",
        "in_time": True,
        "several": ["SIGUSR1"] * 3 + ["SIGUSR2"] * 3,
        "removed": [True, False],
        "default_restored": True,
        "kill_refused": True,
    },
    "executors": {
        "results": True,
        "in_other_processes": True,
        "process_error": "KeyError('from a worker')",
        "context": "alice",
        "in_main_thread": False,
        "thread_error": "KeyError('from a worker')",
        "overlapped": True,
        "in_order": True,
        "from_thread": 42,
    },
    "local": {
        "unix": True,
        "pipe": True,
        "send_file": True,
        "bare_sockets": True,
        "readers_and_writers": ["written", True, False],
    },
}


@pytest.mark.parametrize("program", EXPECTED)
@pytest.mark.parametrize("door", DOORS)
def test_program(door: str, program: str) -> None:
    """The program finds what is expected, on the loop of the door it came by, and leaves nothing on stderr."""
    with start("-W", "default::ResourceWarning", *DOORS[door](program)) as process:
        output, errors = process.communicate(timeout=90)
    assert (errors, process.returncode) == ("", 0)
    expected_loop = "asyncio" if door == "python" else "hocket"
    assert json.loads(output) == {"loop": expected_loop, **EXPECTED[program]}
