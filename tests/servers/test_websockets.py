"""A WebSocket echo of the websockets library on hocket, under the load of another process."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from .certificates import Authority, Files
from .daemons import HOST
from .installed import package
from .running import run

websockets = package("websockets.asyncio.server", "websockets")

CONNECTIONS, MESSAGES = 300, 50

#: What the other process runs, on asyncio's own loop: it prints how many answers were as they should be.
CLIENTS = """
import asyncio, json, ssl, sys
from websockets.asyncio.client import connect

url, connections, messages, authority = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
context = ssl.create_default_context(cafile=authority) if url.startswith("wss") else None

async def talk(number, gate):
    async with gate:
        socket = await connect(url, ssl=context, compression=None, open_timeout=50, proxy=None)
    async with socket:
        good = 0
        for message in range(messages):
            sent = f"{number}-{message}-" + "x" * (number * message % 2000)
            await socket.send(sent)
            good += await socket.recv() == sent
        return good

async def main():
    gate = asyncio.Semaphore(50)
    return await asyncio.gather(*(talk(number, gate) for number in range(connections)))

print(json.dumps(asyncio.run(main())))
"""


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_echo_under_load(authority: Authority, localhost: Files, scheme: str, tmp_path: Path) -> None:
    """300 connections of another process have 50 messages each echoed, and both sides count the same."""
    served = {"connections": 0, "messages": 0, "closed": 0}

    async def echo(connection: Any) -> None:
        served["connections"] += 1
        async for message in connection:
            served["messages"] += 1
            await connection.send(message)
        served["closed"] += 1

    async def main() -> list[int]:
        context = authority.server(localhost) if scheme == "wss" else None
        async with websockets.serve(echo, HOST, 0, ssl=context, compression=None) as server:
            url = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
            script = tmp_path / "clients.py"
            script.write_text(CLIENTS)
            clients = await asyncio.create_subprocess_exec(
                sys.executable, str(script), url, str(CONNECTIONS), str(MESSAGES), str(authority.file),
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                printed, _ = await clients.communicate()
            finally:
                if clients.returncode is None:
                    clients.kill()
                    await clients.wait()
            assert clients.returncode == 0
        counts: list[int] = json.loads(printed)
        return counts

    assert run(main) == [MESSAGES] * CONNECTIONS
    assert served == {"connections": CONNECTIONS, "messages": CONNECTIONS * MESSAGES, "closed": CONNECTIONS}


def test_killed_clients(tmp_path: Path) -> None:
    """Connections of a process that is killed are closed at the server."""

    async def main() -> None:
        arrived, gone = asyncio.Semaphore(0), asyncio.Semaphore(0)

        async def wait(connection: Any) -> None:
            arrived.release()
            await connection.wait_closed()
            gone.release()

        async with websockets.serve(wait, HOST, 0) as server:
            url = f"ws://localhost:{server.sockets[0].getsockname()[1]}"
            script = tmp_path / "clients.py"
            script.write_text(CLIENTS.replace("socket.send(sent)", "asyncio.sleep(60)"))
            clients = await asyncio.create_subprocess_exec(sys.executable, str(script), url, "50", "1", "-")
            for _ in range(50):
                await arrived.acquire()
            clients.kill()
            await clients.wait()
            for _ in range(50):
                await gone.acquire()

    run(main)
