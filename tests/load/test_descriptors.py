"""Running out of file descriptors is reported, at a bounded rate, and survived."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest

from .processes import line, start, tell

LIMIT = 64
CLIENTS = 100
# asyncio's: how long a server waits before it tries to accept again, in seconds
RETRY_DELAY = 1


def echo(connection: socket.socket, message: bytes) -> bytes:
    connection.sendall(message)
    received = b""
    while len(received) < len(message):
        data = connection.recv(4096)
        assert data, "the server closed the connection"
        received += data
    return received


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["auto", "selector"])
def test_out_of_descriptors(driver: str) -> None:
    """Out of descriptors, a server reports once per retry delay, serves who is connected, and later accepts again."""
    with ExitStack() as connections, start("few_descriptors.py", driver=driver, descriptors=LIMIT) as server:
        address = ("127.0.0.1", line(server))
        started = time.monotonic()
        clients = [connections.enter_context(socket.create_connection(address, 10)) for _ in range(CLIENTS)]
        assert echo(clients[0], b"connected before the shortage") == b"connected before the shortage"
        tell(server, "state")
        before = line(server)
        time.sleep(2.5 * RETRY_DELAY)
        for _ in range(20):  # On a busy machine the second report may be late.
            tell(server, "state")
            during = line(server)
            if len(during["reports"]) >= 2:
                break
            time.sleep(0.5)
        elapsed = time.monotonic() - started
        assert LIMIT // 2 < during["connected"] < LIMIT
        assert {kind for _, _, kind in during["reports"]} == {"OSError"}
        assert 2 <= len(during["reports"]) <= elapsed / RETRY_DELAY + 1
        assert during["cpu"] - before["cpu"] < 0.5 * elapsed, "the server spins while it cannot accept"
        assert echo(clients[0], b"connected, and served in the shortage") == b"connected, and served in the shortage"

        connections.close()
        time.sleep(2.5 * RETRY_DELAY)
        with socket.create_connection(address, 10) as client:
            assert echo(client, b"after the shortage") == b"after the shortage"
        tell(server, "state")
        after = line(server)
        assert after["connected"] <= 1
        # Those who had waited in the queue of the kernel were accepted and left; nobody is reported any more.
        time.sleep(1.5 * RETRY_DELAY)
        tell(server, "state")
        assert line(server)["reports"] == after["reports"]
        server.communicate(timeout=30)
    assert server.returncode == 0
